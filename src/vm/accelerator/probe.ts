import { DeviceMissingError, type Engine, type LeaseOptions, startLease } from '../../engine/index.ts'
import { reasonOf } from '../../errors/index.ts'
import type { Logger } from '../../log/index.ts'
import { imagePaths, probeArguments } from '../../qemu/index.ts'

/** What the probe found out about the engine's machine. */
export interface AcceleratorVerdict {
  readonly kvm: 'works' | 'fails'
  /** Why KVM is not used; for people. */
  readonly reason: string
  /** Rate of the time stamp counter, in kHz. */
  readonly tscKhz: number
}

/** A guest under KVM is in user space within a second; one that hangs does so for good. */
const KVM_DEADLINE_MS = 10_000
const TSC = /^testkernels: tsc_khz (\d+)$/
const USER_SPACE = 'testkernels: user space reached'

export interface ProbeOptions {
  readonly engine: Engine
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
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
    const { tscKhz, reached, problem } = await runProbe(options, { devices, command: probeArguments({ kind: 'kvm' }) })
    return { kvm: reached ? 'works' : 'fails', reason: problem, tscKhz }
  } catch (thrown) {
    if (!(thrown instanceof DeviceMissingError)) throw thrown
    const { tscKhz } = await runProbe(options, {})
    return { kvm: 'fails', reason: 'the machine has no /dev/kvm', tscKhz }
  }
}

async function runProbe({ engine, image, labels, signal, log }: ProbeOptions, how: Partial<LeaseOptions>) {
  await using lease = await startLease(
    engine,
    { image, labels, entrypoint: [imagePaths.probe], network: 'none', ...how },
    { signal, log },
  )
  const deadline = setTimeout(() => lease.stop().catch((thrown) => log.debug(reasonOf(thrown))), KVM_DEADLINE_MS)
  let tscKhz = 0
  let reached = false
  try {
    for await (const line of lease.stdout) {
      const rate = TSC.exec(line)?.[1]
      if (rate !== undefined) tscKhz = Number(rate)
      // The console may have other text on this line.
      if (line.includes(USER_SPACE)) {
        reached = true
        break
      }
    }
  } finally {
    clearTimeout(deadline)
  }
  signal.throwIfAborted()
  const said = lease.stderr.tail(1).trim()
  const hung = `/dev/kvm opens, but a guest did not reach user space in ${KVM_DEADLINE_MS / 1000} s`
  return { tscKhz, reached, problem: reached ? '' : said || hung }
}
