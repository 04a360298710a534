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
export type { Builder, Host, PruneOptions, RegistryAccess, RunOptions } from './host.ts'
export type { Images, RegistryOptions, StoredImage } from './images.ts'
