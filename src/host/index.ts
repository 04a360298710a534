export {
  type Box,
  type BoxEndpoint,
  type BoxExit,
  type BoxNetwork,
  type BoxSpec,
  type Lines,
  type Mount,
  signalOf,
  thisUser,
  type UserIds,
  type VolumeMount,
  type VolumeName,
} from './box.ts'
export * from './docker/index.ts'
export type {
  Builder,
  Host,
  Images,
  PruneOptions,
  RegistryAccess,
  RegistryOptions,
  RunOptions,
  StoredImage,
} from './host.ts'
