import { reasonOf } from '../../errors/index.ts'
import type { Host } from '../../host/index.ts'
import { orAborted } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import type { Accelerator } from '../../qemu/index.ts'
import { KvmUnavailableError } from '../errors.ts'
import type { Session } from '../session.ts'
import { probeAccelerator } from './probe.ts'
import { type AcceleratorVerdict, recallVerdict, rememberVerdict, type VerdictScope, verdictFile } from './verdict.ts'

export interface ChooseOptions {
  readonly session: Pick<Session, 'host' | 'settings'>
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
  const verdict = await judgeKvm(options)
  const tcg = { kind: 'tcg', counterKhz: verdict.counterKhz } as const
  if (entry.accelerator === 'tcg') return { accelerator: tcg, why: 'software emulation (TCG), as asked for' }
  if (verdict.kvm === 'works') return { accelerator: { kind: 'kvm' }, why: 'KVM: a guest ran with it' }
  if (entry.accelerator === 'kvm') {
    throw new KvmUnavailableError({
      what: `KVM does not work here: ${verdict.reason}`,
      entry: entry.name,
      output: verdict.output,
      remedy: `leave out accelerator: 'kvm' (software emulation then runs the guest), or ${verdict.remedy}`,
    })
  }
  return { accelerator: tcg, why: `software emulation (TCG), because ${verdict.reason}` }
}

/** Probes that are under way: entries that start side by side wait for one verdict on their machine. */
const probes = new WeakMap<Host, Promise<unknown>>()

/** What a guest with KVM is known to do here, from a probe of this machine now or earlier. */
export async function judgeKvm(options: ChooseOptions): Promise<AcceleratorVerdict> {
  const { session, image, signal, entry } = options
  const { host } = session
  const files = await verdictFiles(session, image)
  // A user who asks for KVM by name may just have repaired it.
  let acceptsFailure = entry.accelerator !== 'kvm'
  for (;;) {
    const remembered = (await recallVerdict(files.machine)) ?? (await recallVerdict(files.image))
    if (remembered !== undefined && (remembered.kvm === 'works' || acceptsFailure)) return remembered
    const underWay = probes.get(host)
    if (underWay === undefined) break
    const over = underWay.catch(() => {})
    await orAborted(over, signal)
    acceptsFailure = true
  }
  const probe = probeAndRemember(options, files)
  probes.set(host, probe)
  try {
    return await probe
  } finally {
    probes.delete(host)
  }
}

async function probeAndRemember(
  { session, image, log, signal, entry }: ChooseOptions,
  files: Readonly<Record<VerdictScope, string>>,
): Promise<AcceleratorVerdict> {
  log.info('probing KVM with a guest (once for this machine)')
  const { host, settings } = session
  const timeoutMs = settings.kvmProbeTimeoutMs
  const verdict = await probeAccelerator({ host, image, entry: entry.name, timeoutMs, signal, log })
  // A cache that cannot be written costs a probe next time.
  await rememberVerdict(files[verdict.about], verdict).catch((thrown) =>
    log.debug(`cannot remember it: ${reasonOf(thrown)}`),
  )
  return verdict
}

async function verdictFiles(
  { host, settings }: ChooseOptions['session'],
  image: string,
): Promise<Readonly<Record<VerdictScope, string>>> {
  const machine = await host.identity()
  const file = (key: readonly string[]) => verdictFile(settings.cacheDirectory, key)
  return { machine: file(machine), image: file([...machine, image]) }
}
