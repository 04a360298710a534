export { type DockerForwardOptions, type ForwardedSocket, forwardDocker } from './docker/docker-forward.ts'
export {
  BindNotMountedError,
  ForwardBrokenError,
  ForwardDirectoryNotPrivateError,
  ForwardListenError,
  ForwardPathTakenError,
  ForwardPathTooLongError,
  ForwardPortTakenError,
  HostPortNotOpenedError,
  PortNotForwardedError,
} from './errors.ts'
export {
  type ForwardAddress,
  type ForwardPlace,
  Forwards,
  type ForwardsOptions,
  forwardSocket,
  HeldPorts,
} from './forwards.ts'
export { carry, listenPrivately } from './listen.ts'
export { loopbackAddress } from './ports/published-ports.ts'
