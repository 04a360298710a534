export {
  type EngineAddress,
  type EngineEnvironment,
  type EngineTls,
  formatAddress,
  type ResolvedAddress,
  resolveEngineAddress,
} from './address.ts'
export { type ConnectOptions, connectEngine, type Engine, type EngineClient, engineClient } from './connect.ts'
export type { ContainerExit } from './container-events.ts'
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
} from './errors.ts'
export { execStream } from './exec-stream.ts'
export { labelsOfImages } from './image-labels.ts'
export {
  hasImage,
  type ImportOptions,
  imageId,
  importImage,
  inspectImage,
  loadImages,
  removeImage,
  type StoredImage,
  saveImages,
  type TransferOptions,
  tagImage,
} from './images.ts'
export { imageLabels, LABELS, newOwnership, type Ownership, runLabels } from './labels.ts'
export { type Lease, type RunOptions, startLease } from './lease.ts'
export type { BindMount, LeaseMount, LeaseOptions, TmpfsMount, VolumeMount } from './lease-options.ts'
export type { Leftover } from './leftovers.ts'
export type { LineStream } from './line-stream.ts'
export { acquireMachineLock, type LockOptions } from './machine-lock.ts'
export { type Owner, type OwnerState, ownerState, parseOwner } from './owner.ts'
export { type PruneOptions, type PruneResult, prune, type RefusedLeftover } from './prune.ts'
export { type PullOptions, pullImage } from './pull.ts'
export { type PushOptions, pushImage } from './push.ts'
export type { RegistryCredentials } from './registry-transfer.ts'
export { removeVolume } from './volumes.ts'
