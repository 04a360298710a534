import { reasonOf } from '../../errors/index.ts'
import type { Logger } from '../../log/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import type { Accelerator } from '../../qemu/index.ts'
import { KvmUnavailableError } from '../errors.ts'
import type { Session } from '../session.ts'
import { type AcceleratorVerdict, probeAccelerator } from './probe.ts'
import { recallVerdict, rememberVerdict, verdictFile } from './remembered.ts'

export interface ChooseOptions {
  readonly session: Session
  readonly entry: KernelEntry
  /** The image whose QEMU and kernel the probe runs. */
  readonly image: string
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * What runs an entry's guest, by its `accelerator` option and by what this machine can do.
 * @throws KvmUnavailableError when KVM was asked for by name and no guest runs with it
 */
export async function chooseAccelerator(options: ChooseOptions): Promise<{ accelerator: Accelerator; why: string }> {
  const { entry } = options
  const verdict = await verdictOn(options)
  const tcg = { kind: 'tcg', counterKhz: verdict.counterKhz } as const
  if (entry.accelerator === 'tcg') return { accelerator: tcg, why: 'software emulation (TCG), as asked for' }
  if (verdict.kvm === 'works') return { accelerator: { kind: 'kvm' }, why: 'KVM: a guest ran with it' }
  if (entry.accelerator === 'kvm') {
    throw new KvmUnavailableError({
      what: `KVM does not work here: ${verdict.reason}`,
      entry: entry.name,
      remedy:
        "leave out accelerator: 'kvm' (software emulation then runs the guest), or give the engine's machine a working /dev/kvm",
    })
  }
  return { accelerator: tcg, why: `software emulation (TCG), because ${verdict.reason}` }
}

async function verdictOn({ session, image, log, signal, entry }: ChooseOptions): Promise<AcceleratorVerdict> {
  const { host, settings } = session
  const file = verdictFile(settings.cacheDirectory, [image, ...(await host.identity())])
  const remembered = await recallVerdict(file)
  if (remembered !== undefined) return remembered
  log.info('probing KVM with a guest (once for this machine and image)')
  const verdict = await probeAccelerator({ host, image, entry: entry.name, signal, log })
  // A cache that cannot be written costs a probe next time.
  await rememberVerdict(file, verdict).catch((thrown) => log.debug(`cannot remember it: ${reasonOf(thrown)}`))
  return verdict
}
