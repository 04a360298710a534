export { abortable, abortableWithCallback, neededBy, noteFailureOf, placeOf, type TestFunction } from './abortable.ts'
export { assignEnvironment, readVariable } from './environment.ts'
export {
  type Failure,
  type Fate,
  hasFailure,
  type LeaseReply,
  type LeaseRequest,
  type ProvidedKernel,
  type RetryRequest,
  type Scope,
  textOfFate,
  type VmFacts,
  type VmSource,
} from './fate.ts'
export { type Kernel, kernelOf, type Testcontainers } from './kernel.ts'
export { type Heard, KernelWatch, type WatchReply, type WatchRequest } from './kernel-watch.ts'
export { type LeasedVm, leaseVms } from './lease-vms.ts'
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
