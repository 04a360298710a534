export {
  ForwardDirectoryNotPrivateError,
  ForwardListenError,
  ForwardPathTakenError,
  ForwardPathTooLongError,
} from './errors.ts'
export { type ForwardedPort, forwardTcpPort, type TcpForwardOptions } from './tcp-forward.ts'
export { type ForwardedSocket, forwardUnixSocket, type UnixForwardOptions } from './unix-forward.ts'
