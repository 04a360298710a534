import { reasonOf } from '../../errors/index.ts'
import { type Box, type BoxSpec, ContainerNotRemovedError, DeviceMissingError, type Host } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import { imagePaths, probeArguments } from '../../qemu/index.ts'
import { type AcceleratorVerdict, describeKvmFailure, type FailedProbe, loadDriver } from './verdict.ts'

const COUNTER = /^testkernels: counter_khz (\d+)$/
const USER_SPACE = 'testkernels: user space reached'
const OUTPUT_LINES = 20

export interface ProbeOptions {
  readonly host: Pick<Host, 'arch' | 'run'>
  readonly image: string
  /** Kernel entry that errors name. */
  readonly entry: string
  /** A guest under KVM is in user space within a second; one that hangs does so for good. In milliseconds. */
  readonly timeoutMs: number
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
    const { counterKhz } = seen
    if (seen.reached) return { kvm: 'works', reason: '', remedy: '', counterKhz, about: 'machine' }
    return {
      kvm: 'fails',
      counterKhz,
      ...describeKvmFailure({ ...seen, arch: options.host.arch, deadlineMs: options.timeoutMs }),
      output: seen.output,
    }
  } catch (thrown) {
    if (!(thrown instanceof DeviceMissingError)) throw thrown
    const { counterKhz } = await runProbe(options, {})
    return {
      kvm: 'fails',
      reason: "the engine's machine has no /dev/kvm",
      remedy: loadDriver(options.host.arch),
      counterKhz,
      about: 'machine',
    }
  }
}

async function runProbe({ host, image, entry, timeoutMs, signal, log }: ProbeOptions, how: Partial<BoxSpec>) {
  const box = await host.run({ image, entry, entrypoint: [imagePaths.probe], ...how }, { signal, log })
  let isLate = false
  // Memoised: what comes of it is heard below.
  const end = () => void box.stop().catch((thrown) => log.debug(reasonOf(thrown)))
  const deadline = setTimeout(() => {
    isLate = true
    end()
  }, timeoutMs)
  signal.addEventListener('abort', end, { once: true })
  try {
    const seen = await readProbe(box)
    const ended = await endOf(box, isLate)
    signal.throwIfAborted()
    return { ...seen, ended, said: lastWords(box), output: box.stdout.tail(OUTPUT_LINES) || undefined }
  } finally {
    clearTimeout(deadline)
    signal.removeEventListener('abort', end)
  }
}

/** What hangs in the kernel cannot be killed; when that comes back it ends, and its box with it. */
async function endOf(box: Box, isLate: boolean): Promise<FailedProbe['ended']> {
  try {
    await box.stop()
    return isLate ? 'at the deadline' : 'by itself'
  } catch (thrown) {
    if (isLate && thrown instanceof ContainerNotRemovedError) return 'never'
    throw thrown
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
