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
  NetworkNameTakenError,
  NetworkNotMadeError,
  resolveEngineAddress,
} from '../../engine/index.ts'
export { type Dockerd, dockerdAt, type PortPublishers, type Published, type Publisher } from './dockerd.ts'
export { dockerHost, type EngineView, type OpenHostOptions, openDockerHost, viewEngine } from './host.ts'
