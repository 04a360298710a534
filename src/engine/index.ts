export {
  type EngineAddress,
  type EngineEnvironment,
  type EngineTls,
  formatAddress,
  type ResolvedAddress,
  resolveEngineAddress,
} from './address.ts'
export { type AttachedContainer, type RunOptions, runAttached } from './attached-container.ts'
export { dialEngine } from './client.ts'
export { type ConnectOptions, connectEngine, type Engine, type EngineClient, engineClient } from './connect.ts'
export type { ContainerExit } from './container-events.ts'
export type { BindMount, ContainerMount, ContainerOptions, TmpfsMount, VolumeMount } from './container-options.ts'
export {
  containerEvents,
  type InspectedContainer,
  inspectContainer,
  inspectService,
  killContainer,
  type NetworkEndpoint,
  type PublishedPort,
  readContainerEvents,
  removeService,
  runningContainers,
  swarmServices,
} from './containers.ts'
export { clientProxies } from './docker-config.ts'
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
  NetworkNameTakenError,
  NetworkNotMadeError,
} from './errors.ts'
export { execStream } from './exec-stream.ts'
export {
  hasImage,
  type ImportOptions,
  imageId,
  importImage,
  inspectImage,
  labelsOfImages,
  loadImages,
  removeImage,
  type StoredImage,
  saveImages,
  type TransferOptions,
  tagImage,
} from './images.ts'
export { imageLabels, newRun, runLabels } from './labels.ts'
export { acquireMachineLock, type LockOptions } from './machine-lock.ts'
export { inspectDefaultBridge, type JoinedNetwork, removeNetwork } from './networks.ts'
export type { LineStream } from './output.ts'
export {
  hasVolume,
  type Leftover,
  listAbandoned,
  type PruneOptions,
  type PruneResult,
  prune,
  type RefusedLeftover,
  removeVolume,
} from './prune.ts'
export { type PullOptions, type PushOptions, pullImage, pushImage, type RegistryCredentials } from './registry.ts'
