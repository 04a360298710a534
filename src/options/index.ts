export { type CacheReference, parseCacheReference } from './cache-reference.ts'
export { type DaemonOptions, faultOfProxy, type ProxyAddresses, type ProxyOption } from './daemon.ts'
export { DuplicateEntryError, InvalidOptionError, UnknownKernelError } from './errors.ts'
export {
  checkHostPort,
  type ForwardOptions,
  forwardName,
  forwardVariable,
  MOST_HOST_PORTS,
  type MountAccess,
  type MountOptions,
  parseForward,
  parseMount,
} from './forwards.ts'
export {
  type DebianRootfs,
  type DockerfileOptions,
  type DockerfileReference,
  type ImageRootfs,
  type LocalRootfs,
  type PreloadDockerfileOptions,
  type PreloadReference,
  parseRootfsReference,
  type RootfsReference,
} from './guest-images.ts'
export { type EgressOption, egressWords, ipv6Destinations } from './guest-network.ts'
export { kernelWords } from './kernel-arguments.ts'
export {
  type GuestInit,
  type KernelEntry,
  type KernelMatrix,
  type KernelOptions,
  type MachineOption,
  matrixRows,
  type NamedKernelOptions,
  parseKernelEntry,
  parseMatrix,
} from './kernel-entry.ts'
export { type KernelAxes, type KernelCombination, type KernelMatrixOptions, kernelMatrix } from './kernel-matrix.ts'
export {
  type DebianKernel,
  debianLabel,
  debianSuites,
  type ImageKernel,
  type KernelReference,
  type KernelSpec,
  kernelLabel,
  kernelText,
  parseKernelReference,
} from './kernel-reference.ts'
export { type KernelReportsOption, looksForLeaks, type ReportVerdict } from './kernel-reports.ts'
export type { LocalKernel, LocalKernelOptions } from './local-kernel.ts'
export {
  type Isolation,
  type KeepOnFailure,
  type OnTestsRerun,
  type ProjectOptions,
  parseIsolation,
  parseKeepOnFailure,
  parseKernelReport,
  parseOnTestsRerun,
  parseRetryOn,
  type RetryOn,
  TEST_TIMEOUT_MS,
} from './project-options.ts'
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
