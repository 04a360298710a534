import { randomBytes } from 'node:crypto'
import { connectQmp, pause, resume } from '../../qemu/index.ts'
import type { TemplateLocation } from '../../template/index.ts'
import { type BootedVm, bootOnce } from '../boot/boot-once.ts'
import type { BootOptions } from '../boot/boot-options.ts'

/** A clone that is ready, SSH and forward included, and stopped: it takes memory, and no processor time. */
export interface Spare {
  readonly vm: BootedVm
  /** Lets it run, with the time and random numbers of now. */
  wake(signal: AbortSignal): Promise<BootedVm>
}

/** @throws as `bootOnce` */
export async function makeSpare(template: TemplateLocation, options: BootOptions): Promise<Spare> {
  const vm = await bootOnce({ ...options, silence: 'allowed' }, { kind: 'restore', template })
  const { guest, disposals } = vm
  const { log, entry } = options
  try {
    const qmp = await connectQmp(guest.monitorSocket, { signal: vm.gone, log, entry: entry.name })
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
