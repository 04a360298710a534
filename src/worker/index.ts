export { abortable, abortableWithCallback, neededBy, placeOf, type TestFunction } from './abortable.ts'
export { assignEnvironment, readVariable } from './environment.ts'
export type { Failure, Fate, ProvidedKernel, Scope, VmFacts, VmSource } from './fate.ts'
export { type Kernel, kernelOf, type Testcontainers } from './kernel.ts'
export { type Heard, KernelWatch, type WatchReply, type WatchRequest } from './kernel-watch.ts'
export { type LeasedVm, type LeaseReply, type LeaseRequest, leaseVms, type RetryRequest } from './lease-vms.ts'
export {
  beginTest,
  finishFile,
  goBack,
  type RunningTest,
  renewVms,
  type ToldOfTest,
  type VmRecord,
  vmRecord,
} from './running-test.ts'
