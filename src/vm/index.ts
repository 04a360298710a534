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
export { makeRunDirectory } from './run-directory.ts'
export { prepareImage, type StartOptions, startVm } from './start.ts'
export { type ExecOptions, StartedKernelVm } from './started-kernel-vm.ts'
export type { Step } from './timeline.ts'
export { type WorkerEnvironment, workerEnvironment } from './worker-environment.ts'
