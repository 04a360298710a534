export type { ForwardAddress } from '../forward/index.ts'
export { judgeKvm } from './accelerator/choose.ts'
export { type FoundVms, findVms, type RunningVm } from './attach.ts'
export { abandonedRunDirectories, makeRunDirectory, type RunDirectory } from './boot/run-directory.ts'
export { Checkpoint, CheckpointRefusedError, CheckpointRemovedError } from './checkpoint.ts'
export type { CopyOptions, CopySource, CopyToOptions } from './copy.ts'
export type { GdbServer, SavedVmcore, VmcoreOptions, VmDebugger } from './debugger.ts'
export {
  BootTimeoutError,
  CopyFailedError,
  CopyRefusedError,
  DockerdFailedError,
  EgressUnresolvedError,
  ExecTimeoutError,
  KernelReportedError,
  KvmUnavailableError,
  LeakScanFailedError,
  NoSignOfLifeError,
  VmcoreNotSavedError,
  VmDiedError,
  VmNotFoundError,
  VmNotReadyError,
} from './errors.ts'
export { type ExecOptions, runShell, type ShellOptions, type ShellStreams } from './exec.ts'
export * from './image.ts'
export { reportedError, type VmKernelReport } from './kernel-reports.ts'
export { KernelVm, type KernelVmStartOptions } from './kernel-vm.ts'
export { launchVm } from './launch.ts'
export { lastKernelReports } from './memory-leaks.ts'
export { type LogConsumer, planVm, type VmRequest } from './plan.ts'
export { bootNeedsMib, CLONE_NEEDS_MIB } from './pool/admission.ts'
export { type ForkOptions, type SpareReservation, type Step, Timeline } from './start.ts'
export { StartedKernelVm } from './started-kernel-vm.ts'
export type { LoadedModule } from './symbols.ts'
export { type UntilReady, Wait, WaitStrategy } from './wait.ts'
export {
  type Entrance,
  type EntrancePlace,
  type VmAddresses,
  type WorkerEnvironment,
  workerEnvironment,
} from './worker-environment.ts'
