export {
  BootTimeoutError,
  DirectoryUnusableError,
  DockerdFailedError,
  KvmUnavailableError,
  NoSignOfLifeError,
  VmDiedError,
} from './errors.ts'
export { type Host, type OpenHostOptions, openHost } from './host.ts'
export { KernelVm, type KernelVmStartOptions } from './kernel-vm.ts'
export { prepareImage, type StartOptions } from './prepare-image.ts'
export { startVm } from './start.ts'
export { type ExecOptions, type ForkOptions, StartedKernelVm } from './started-kernel-vm.ts'
export type { Step } from './timeline.ts'
export { type WorkerEnvironment, workerEnvironment } from './worker-environment.ts'
