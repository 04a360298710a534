export { type CacheReference, parseCacheReference } from './cache-reference.ts'
export type { DebianKernel } from './debian-kernel.ts'
export type { DockerfileOptions, DockerfileReference } from './dockerfile-reference.ts'
export { DuplicateEntryError, InvalidOptionError, UnknownKernelError } from './errors.ts'
export { type Isolation, type OnTestsRerun, parseIsolation, parseOnTestsRerun } from './isolation.ts'
export { type KernelEntry, type KernelOptions, parseKernelEntry } from './kernel-entry.ts'
export { kernelLabel, kernelText } from './kernel-label.ts'
export { type KernelAxes, type KernelCombination, type KernelMatrixOptions, kernelMatrix } from './kernel-matrix.ts'
export { type ImageKernel, type KernelReference, type KernelSpec, parseKernelReference } from './kernel-reference.ts'
export type { LocalKernel, LocalKernelOptions } from './local-kernel.ts'
export { type KernelMatrix, matrixRows, type NamedKernelOptions, parseMatrix } from './matrix.ts'
export type { PreloadDockerfileOptions, PreloadReference } from './preload-reference.ts'
export {
  type DebianRootfs,
  type ImageRootfs,
  type LocalRootfs,
  parseRootfsReference,
  type RootfsReference,
} from './rootfs-reference.ts'
export {
  dockerConfigDirectory,
  homeDirectory,
  type ProgressKind,
  progressKinds,
  readSettings,
  type Settings,
} from './settings.ts'
export {
  type ConfigFragment,
  readyFragments,
  type SourceKernel,
  type SourceKernelOptions,
  type SourceOrigin,
  withConfig,
} from './source-kernel.ts'
