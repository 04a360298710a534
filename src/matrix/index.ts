export { describeVm, Fates } from './fates.ts'
export { Keeper, type Kept } from './keeper.ts'
export { type Running, running } from './running.ts'
export { SharedVms, type StartEntry, type VmUse } from './shared-vms.ts'
