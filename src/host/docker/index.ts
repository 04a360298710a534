export {
  ContainerNotRemovedError,
  ContainerNotStartedError,
  DeviceMissingError,
  EngineAddressInvalidError,
  EngineNotPermittedError,
  EngineTooOldError,
  EngineUnreachableError,
  EngineUnsupportedError,
  ImageMissingError,
  ImagePullError,
  ImagePushError,
  ImageTransferError,
  imageLabels,
} from '../../engine/index.ts'
export { dockerHost, type OpenHostOptions, openDockerHost } from './host.ts'
export { type Dockerd, dockerdAt } from './images.ts'
