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
  resolveEngineAddress,
} from '../../engine/index.ts'
export { type Dockerd, type DockerdContainer, type DockerdContainers, dockerdAt } from './dockerd.ts'
export { dockerHost, type EngineView, type OpenHostOptions, openDockerHost, viewEngine } from './host.ts'
