export { type DockerForwardOptions, type ForwardedSocket, forwardDocker } from './docker/docker-forward.ts'
export {
  ForwardBrokenError,
  ForwardDirectoryNotPrivateError,
  ForwardListenError,
  ForwardPathTakenError,
  ForwardPathTooLongError,
} from './errors.ts'
export { Forwards, type ForwardsOptions } from './forwards.ts'
