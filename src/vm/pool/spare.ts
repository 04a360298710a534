import { randomBytes } from 'node:crypto'
import { pause, resume } from '../../qemu/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { connectMonitor } from '../boot/monitor.ts'
import { restoreVm } from '../boot/restore.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'

/** A clone that is ready, SSH and forward included, and stopped: it takes memory, and no processor time. */
export interface Spare {
  readonly vm: BootedVm
  /** Lets it run, with the time and random numbers of now. */
  wake(signal: AbortSignal): Promise<BootedVm>
}

/** @throws as `restoreVm` */
export async function makeSpare(plan: TemplatePlan, start: Start): Promise<Spare> {
  const vm = await restoreVm(plan, start, 'allowed')
  const { guest, disposals } = vm
  try {
    const qmp = await connectMonitor(guest, { plan, start }, vm.gone)
    disposals.defer('monitor', qmp.close)
    await pause(qmp)
    return {
      vm,
      wake: async (signal) => {
        await resume(qmp)
        const until = AbortSignal.any([signal, vm.gone])
        await Promise.all([guest.control.refresh(randomBytes(32), until), guest.control.setClock(until)])
        return vm
      },
    }
  } catch (thrown) {
    await disposals.dispose()
    throw thrown
  }
}
