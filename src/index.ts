export { formatError, TestkernelsError } from './errors/index.ts'
export type { ReportKind } from './kernel-log/index.ts'
export type { Logger } from './log/index.ts'
export {
  type ForwardOptions,
  type GuestInit,
  type KernelCombination,
  type KernelEntry,
  type KernelMatrix,
  type KernelMatrixOptions,
  type KernelOptions,
  type KernelReportsOption,
  kernelMatrix,
  type NamedKernelOptions,
  type ReportVerdict,
  type SourceKernelOptions,
} from './options/index.ts'
export type { ExecResult, ExitStatus, WindowSize } from './ssh/index.ts'
export {
  Checkpoint,
  type CopyOptions,
  type CopySource,
  type CopyToOptions,
  type ExecOptions,
  type ForkOptions,
  type ForwardAddress,
  type GdbServer,
  KernelVm,
  type KernelVmStartOptions,
  type LogConsumer,
  type SavedVmcore,
  type ShellOptions,
  type ShellStreams,
  type SpareReservation,
  StartedKernelVm,
  type Step,
  type UntilReady,
  type VmcoreOptions,
  type VmDebugger,
  type VmKernelReport,
  Wait,
  WaitStrategy,
  type WorkerEnvironment,
} from './vm/index.ts'
