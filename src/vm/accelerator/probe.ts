import { reasonOf } from '../../errors/index.ts'
import { type Box, type BoxSpec, DeviceMissingError, type Host } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import { imagePaths, probeArguments } from '../../qemu/index.ts'
import { describeKvmFailure } from './kvm-failure.ts'

/** What the probe found out about the engine's machine. */
export interface AcceleratorVerdict {
  readonly kvm: 'works' | 'fails'
  /** Why KVM is not used, as what follows "because"; for people. Empty when it works. */
  readonly reason: string
  /** Rate of the counter that an emulated clock runs by, in kHz. */
  readonly counterKhz: number
}

/** A guest under KVM is in user space within a second; one that hangs does so for good. */
const KVM_DEADLINE_MS = 10_000
const COUNTER = /^testkernels: counter_khz (\d+)$/
const USER_SPACE = 'testkernels: user space reached'

export interface ProbeOptions {
  readonly host: Pick<Host, 'arch' | 'run'>
  readonly image: string
  /** Kernel entry that errors name. */
  readonly entry: string
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * Starts a guest with KVM and believes only what it saw: /dev/kvm can be there, open and answer every ioctl, and still hang
 * each guest (nested virtualisation without hardware support does).
 */
export async function probeAccelerator(options: ProbeOptions): Promise<AcceleratorVerdict> {
  try {
    const devices = ['/dev/kvm']
    const seen = await runProbe(options, { devices, command: probeArguments(options.host.arch, { kind: 'kvm' }) })
    if (seen.reached) return { kvm: 'works', reason: '', counterKhz: seen.counterKhz }
    return {
      kvm: 'fails',
      reason: describeKvmFailure({ ...seen, deadlineMs: KVM_DEADLINE_MS }),
      counterKhz: seen.counterKhz,
    }
  } catch (thrown) {
    if (!(thrown instanceof DeviceMissingError)) throw thrown
    const { counterKhz } = await runProbe(options, {})
    return { kvm: 'fails', reason: 'the machine has no /dev/kvm', counterKhz }
  }
}

async function runProbe({ host, image, entry, signal, log }: ProbeOptions, how: Partial<BoxSpec>) {
  await using box = await host.run({ image, entry, entrypoint: [imagePaths.probe], ...how }, { signal, log })
  let ended: 'by itself' | 'at the deadline' = 'by itself'
  const end = () => box.stop().catch((thrown) => log.debug(reasonOf(thrown)))
  const deadline = setTimeout(() => {
    ended = 'at the deadline'
    void end()
  }, KVM_DEADLINE_MS)
  signal.addEventListener('abort', end, { once: true })
  try {
    const seen = await readProbe(box)
    signal.throwIfAborted()
    return { ...seen, ended, said: lastWords(box) }
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', end)
  }
}

async function readProbe({ stdout }: Box): Promise<{ reached: boolean; counterKhz: number }> {
  let counterKhz = 0
  for await (const line of stdout) {
    const rate = COUNTER.exec(line)?.[1]
    if (rate !== undefined) counterKhz = Number(rate)
    // The console may have other text on this line.
    if (line.includes(USER_SPACE)) return { reached: true, counterKhz }
  }
  return { reached: false, counterKhz }
}

/** QEMU's last line of errors. It warns of features that the guest would not miss, and its shell may add "Aborted". */
function lastWords({ stderr }: Box): string {
  const lines = stderr.kept.filter((line) => !line.includes(' warning: '))
  return lines.findLast((line) => line.startsWith('qemu-system: ')) ?? lines.at(-1)?.trim() ?? ''
}
