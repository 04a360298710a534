import { randomBytes } from 'node:crypto'
import { connectQmp, pause, resume } from '../../qemu/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
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
    const monitor = { signal: vm.gone, log: start.log, entry: plan.entry.name }
    const qmp = await connectQmp(guest.monitorSocket, monitor)
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
