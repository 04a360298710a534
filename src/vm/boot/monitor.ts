import { connectQmp, type QmpConnection } from '../../qemu/index.ts'
import { MONITOR_SOCKET } from '../machine.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'

/** A session with the monitor of a guest's QEMU, which ends with the signal. @throws QemuCommandError; the signal's reason */
export async function connectMonitor(
  { box }: Pick<Guest, 'box'>,
  { plan, start }: Pick<Attempt, 'plan' | 'start'>,
  signal: AbortSignal,
): Promise<QmpConnection> {
  const stream = await box.dial(MONITOR_SOCKET, signal)
  return await connectQmp(stream, { signal, log: start.log, entry: plan.entry.name })
}
