export { type ControlConnection, connectControl } from './control.ts'
export type { KernelLogBatch, KernelLogPort } from './control-kernel-log.ts'
export {
  type DiskRange,
  type GuestFile,
  GuestMisbehavedError,
  type GuestProxy,
  type Phase,
} from './control-messages.ts'
export { type Accelerator, guestLink } from './devices.ts'
export { imagePaths, type Machine, probeArguments, qemuArguments, standaloneArguments } from './machine.ts'
export {
  dumpMemory,
  handOver,
  loadState,
  type MeetingPlace,
  pause,
  quit,
  resume,
  saveState,
  setVmNetworkLink,
  startGdbStub,
  stayAtGuestsEnd,
} from './migration.ts'
export {
  connectQmp,
  QemuCommandError,
  type QmpCommands,
  type QmpConnection,
  type QmpEvent,
  type QmpOptions,
} from './qmp.ts'
