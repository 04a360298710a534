export { DuplicateEntryError, InvalidOptionError, UnknownKernelError } from './errors.ts'
export { type KernelEntry, type KernelOptions, parseKernelEntry } from './kernel-entry.ts'
export { kernelLabel } from './kernel-label.ts'
export { type DebianKernel, type KernelReference, parseKernelReference } from './kernel-reference.ts'
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
export { readSettings, type Settings } from './settings.ts'
