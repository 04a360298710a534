export { formatError, TestkernelsError } from './errors/index.ts'
export type { Logger } from './log/index.ts'
export {
  type KernelCombination,
  type KernelEntry,
  type KernelMatrix,
  type KernelMatrixOptions,
  type KernelOptions,
  kernelMatrix,
  type NamedKernelOptions,
  type SourceKernelOptions,
} from './options/index.ts'
export {
  Checkpoint,
  type ForkOptions,
  KernelVm,
  type KernelVmStartOptions,
  type LogConsumer,
  type SpareReservation,
  StartedKernelVm,
  type Step,
  type UntilReady,
  Wait,
  WaitStrategy,
  type WorkerEnvironment,
} from './vm/index.ts'
