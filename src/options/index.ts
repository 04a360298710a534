export { type CacheReference, parseCacheReference } from './cache-reference.ts'
export type { DebianKernel } from './debian-kernel.ts'
export { DuplicateEntryError, InvalidOptionError, UnknownKernelError } from './errors.ts'
export { type KernelEntry, type KernelOptions, parseKernelEntry } from './kernel-entry.ts'
export { kernelLabel, kernelText } from './kernel-label.ts'
export { type ImageKernel, type KernelReference, type KernelSpec, parseKernelReference } from './kernel-reference.ts'
export type { LocalKernel, LocalKernelOptions } from './local-kernel.ts'
export { type KernelMatrix, parseMatrix } from './matrix.ts'
export {
  type DebianRootfs,
  type DockerfileOptions,
  type DockerfileRootfs,
  type ImageRootfs,
  type LocalRootfs,
  parseRootfsReference,
  type RootfsReference,
} from './rootfs-reference.ts'
export { type ProgressKind, progressKinds, readSettings, type Settings } from './settings.ts'
export {
  type ConfigFragment,
  readyFragments,
  type SourceKernel,
  type SourceKernelOptions,
  type SourceOrigin,
  withConfig,
} from './source-kernel.ts'
