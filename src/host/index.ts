export type { Box, BoxExit, BoxSpec, Lines, Mount, PublishedPorts, VolumeMount, VolumeName } from './box.ts'
export * from './docker/index.ts'
export type { Builder, Host, PruneOptions, RunOptions } from './host.ts'
export type { Images, RegistryOptions } from './images.ts'
