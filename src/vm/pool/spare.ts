import { randomBytes } from 'node:crypto'
import { orAborted } from '../../lifetime/index.ts'
import { pause, resume } from '../../qemu/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { connectMonitor } from '../boot/monitor.ts'
import { restoreVm } from '../boot/restore.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'

/** A clone that is ready, its door tried and its dockerd forwarded, and stopped: it takes memory, and no processor time. */
export interface Spare {
  readonly vm: BootedVm
  /** Lets it run, with the time and random numbers of now. */
  wake(signal: AbortSignal): Promise<BootedVm>
}

/** @throws as `restoreVm` */
export async function makeSpare(plan: TemplatePlan, start: Start): Promise<Spare> {
  const vm = await restoreVm(plan, start)
  const { guest, disposals } = vm
  using deadline = bootDeadline(plan.entry, start)
  const inTime = AbortSignal.any([deadline.signal, vm.gone])
  try {
    // The session lasts as long as the VM; what is waited for in it does not.
    const qmp = await orAborted(connectMonitor(guest, { plan, start }, vm.gone), inTime)
    disposals.defer('monitor', qmp.close)
    await orAborted(pause(qmp), inTime)
    return {
      vm,
      wake: async (signal) => {
        const until = AbortSignal.any([signal, vm.gone])
        await orAborted(resume(qmp), until)
        await Promise.all([guest.control.refresh(randomBytes(32), until), guest.control.setClock(until)])
        return vm
      },
    }
  } catch (thrown) {
    await disposals.dispose()
    throw thrown
  }
}
