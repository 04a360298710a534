export { SharedVms, type StartEntry } from './shared-vms.ts'
