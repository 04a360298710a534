export { describeVm, factsOf } from './fates.ts'
export { waysInto } from './kept-vms.ts'
export { RunLogs } from './run-logs.ts'
export {
  leaseForProject,
  type ProjectLease,
  type ProjectWants,
  testcontainersHostWarning,
  testSession,
} from './session.ts'
export { SessionThread, type ThreadLease } from './session-thread.ts'
export { type VmLease, VmLeases } from './vm-leases.ts'
