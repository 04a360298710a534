export { type DockerForwardOptions, type ForwardedSocket, forwardDocker } from './docker/docker-forward.ts'
export {
  ForwardBrokenError,
  ForwardDirectoryNotPrivateError,
  ForwardListenError,
  ForwardPathTakenError,
  ForwardPathTooLongError,
  PortNotForwardedError,
} from './errors.ts'
export { Forwards, type ForwardsOptions } from './forwards.ts'
export { loopbackAddress } from './ports/published-ports.ts'
