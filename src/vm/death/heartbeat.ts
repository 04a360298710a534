import { reasonOf, type TestkernelsError } from '../../errors/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import { kernelText } from '../../options/index.ts'
import { connectQmp } from '../../qemu/index.ts'
import { StreamRefusedError } from '../../streams/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { VmDiedError } from '../errors.ts'
import { MONITOR_SOCKET } from '../machine.ts'
import type { VmPlan } from '../plan.ts'

/**
 * Time is counted in ticks, and not read from a clock: a test runner that computes for a minute, or a machine that sleeps, hears one
 * tick late, and then the answers that have come meanwhile.
 */
const TICK_MS = 1_000
const BETWEEN_BEATS = 2
/** A guest under emulation, on a machine with a load of 14, answers within one. */
const STALLED_AFTER = 5
/** A machine that swaps may come back; one that has not by then does not. */
const LOST_AFTER = 60
const DIAGNOSIS_DEADLINE_MS = 2_000
/** Nothing listens there; that the guest says so is an answer. */
const UNUSED_PORT = 1

/** Why a VM does not answer. */
export interface Diagnosis {
  readonly why: string
  /** `lost`: it will not answer any more. */
  readonly verdict: 'stalled' | 'lost'
  readonly remedy: string
}

export interface HeartbeatOptions {
  /** Resolves when the VM answers. */
  readonly ask: (signal: AbortSignal) => Promise<unknown>
  /** Called once it has not answered for a while. */
  readonly diagnose: () => Promise<Diagnosis>
  readonly onLost: (diagnosis: Diagnosis) => void
  readonly log: Logger
  /** Ends it. */
  readonly signal: AbortSignal
}

/** Asks a VM again and again whether it lives, and says so when it does not answer. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  #pauses = 0

  constructor(options: HeartbeatOptions) {
    this.#options = options
    // It ends with its signal, which is no failure.
    this.#run().catch(() => {})
  }

  /** Until what it returns is disposed, the VM need not answer: it is stopped by us. */
  pause(): Disposable {
    this.#pauses++
    return { [Symbol.dispose]: () => void this.#pauses-- }
  }

  async #run(): Promise<void> {
    for (;;) {
      for (let ticks = 0; ticks < BETWEEN_BEATS; ticks++) await this.#tick()
      if (this.#pauses === 0 && !(await this.#isAnswered())) return
    }
  }

  /** False once it is lost. */
  async #isAnswered(): Promise<boolean> {
    const { ask, diagnose, onLost, log, signal } = this.#options
    const answered = ask(signal).then(() => true)
    answered.catch(() => {})
    let diagnosis: Diagnosis | undefined
    for (let silent = 0; ; ) {
      if (await Promise.race([answered, this.#tick().then(() => false)])) {
        if (diagnosis !== undefined) log.info('the VM answers again')
        return true
      }
      if (this.#pauses > 0) silent = 0
      else silent++
      if (silent === STALLED_AFTER) {
        diagnosis = await diagnose()
        if (diagnosis.verdict === 'stalled') log.warn(`the VM does not answer: ${diagnosis.why}`)
      }
      if (diagnosis !== undefined && (diagnosis.verdict === 'lost' || silent >= LOST_AFTER)) {
        onLost(diagnosis)
        return false
      }
    }
  }

  #tick(): Promise<void> {
    return tick(this.#options.signal)
  }
}

/** No process lives for the sake of it. */
async function tick(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise((resolve) => setTimeout(resolve, TICK_MS).unref())
  signal.throwIfAborted()
}

/** The heartbeat of a VM that is ready: of its guest's agent, and of the way in. One that is lost is ended, and `gone` says why. */
export function startHeartbeat(vm: BootedVm, { entry }: Pick<VmPlan, 'entry'>, log: Logger): Heartbeat {
  const { guest, streams, disposals } = vm
  const ended = new AbortController()
  const silent = new Set<string>()
  disposals.defer('heartbeat', () => ended.abort(new Error('the VM was stopped')))
  const signal = AbortSignal.any([ended.signal, vm.gone])
  const asking = async (whom: string, answer: Promise<unknown>) => {
    silent.add(whom)
    await answer
    silent.delete(whom)
  }
  return new Heartbeat({
    ask: (until) =>
      Promise.all([asking('agent', guest.control.ping(until)), asking('door', doorAnswers({ streams }, until))]),
    diagnose: () => diagnose(vm, { entry: entry.name, isAgentSilent: silent.has('agent'), log }),
    onLost: (diagnosis) => guest.lose(lostVm(diagnosis, { entry })),
    log,
    signal,
  })
}

async function doorAnswers({ streams }: Pick<BootedVm, 'streams'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const stream = await streams.open({ kind: 'tcp', port: UNUSED_PORT }, { signal })
      stream.destroy()
      return
    } catch (thrown) {
      if (thrown instanceof StreamRefusedError) return
      await tick(signal)
    }
  }
}

interface Silence {
  readonly entry: string
  readonly isAgentSilent: boolean
  readonly log: Logger
}

/** QEMU knows whether its guest runs. One that does not answer either is what does not run. */
async function diagnose({ guest }: BootedVm, { entry, isAgentSilent, log }: Silence): Promise<Diagnosis> {
  using deadline = startDeadline({
    ms: DIAGNOSIS_DEADLINE_MS,
    signal: guest.signal,
    onPassed: () => new Error('it did not answer'),
  })
  try {
    const stream = await guest.box.dial(MONITOR_SOCKET, deadline.signal)
    const qmp = await connectQmp(stream, { signal: deadline.signal, log, entry })
    const answer = await qmp.execute('query-status').finally(qmp.close)
    return explainStatus((answer as { status?: unknown }).status, isAgentSilent)
  } catch (thrown) {
    log.debug(`QEMU's monitor: ${reasonOf(thrown)}`)
    return {
      why: 'its QEMU does not answer either: it was stopped, or its machine has no time for it',
      verdict: 'stalled',
      remedy: 'see whether the process of QEMU was stopped (SIGSTOP), and what load the machine has',
    }
  }
}

/** @param status as QEMU's machine protocol has it (`RunState`) */
export function explainStatus(status: unknown, isAgentSilent: boolean): Diagnosis {
  switch (status) {
    case 'io-error':
      return {
        why: 'QEMU stopped it, because a write to its disk failed: the disk of the Docker engine is full, or broken',
        verdict: 'lost',
        remedy: "make room on the engine's disk (`docker system df` shows what takes it)",
      }
    case 'running':
      return isAgentSilent
        ? {
            why: 'its guest hangs, or its machine has no time for it',
            verdict: 'stalled',
            remedy: 'read its console, and see what load the machine has',
          }
        : {
            why: 'its guest runs, and there is no way into it: its network is down, or its door is',
            verdict: 'stalled',
            remedy: 'see what the tests do to the network of the guest (eth0 of its root)',
          }
    case 'paused':
    case 'suspended':
      return {
        why: 'QEMU was told to stop it',
        verdict: 'stalled',
        remedy: 'see who uses its monitor',
      }
    default:
      return {
        why: `its guest runs no more (QEMU says '${status}')`,
        verdict: 'lost',
        remedy: 'read its console for what came before',
      }
  }
}

function lostVm({ why, remedy }: Diagnosis, { entry }: Pick<VmPlan, 'entry'>): TestkernelsError {
  return new VmDiedError({
    what: `the VM was lost on ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}: ${why}`,
    entry: entry.name,
    remedy,
  })
}
