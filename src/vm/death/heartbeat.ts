import { reasonOf } from '../../errors/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import { StreamRefusedError } from '../../streams/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import type { VmPlan } from '../plan.ts'
import { type Diagnosis, explainStatus, lostVm } from './diagnosis.ts'

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

export interface HeartbeatOptions {
  /** Resolves when the VM answers. */
  readonly ask: (signal: AbortSignal) => Promise<unknown>
  /** Called once it has not answered for a while, or does not while there is a suspicion. */
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
  #isSuspected = false

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

  /** Somebody says that it does not run. If it does not answer next, that is believed at once. */
  suspect(): void {
    if (this.#pauses === 0) this.#isSuspected = true
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
        this.#isSuspected = false
        if (diagnosis !== undefined) log.info('the VM answers again')
        return true
      }
      if (this.#pauses > 0) silent = 0
      else silent++
      if (diagnosis === undefined && silent > 0 && (silent >= STALLED_AFTER || this.#isSuspected)) {
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
  const heartbeat = new Heartbeat({
    ask: (until) =>
      Promise.all([asking('agent', guest.control.ping(until)), asking('door', doorAnswers({ streams }, until))]),
    diagnose: () => diagnose(vm, { isAgentSilent: silent.has('agent'), log }),
    onLost: (diagnosis) => guest.lose(lostVm(diagnosis, entry)),
    log,
    signal,
  })
  guest.monitor.onEvent(({ event }) => event === 'STOP' && heartbeat.suspect())
  return heartbeat
}

async function doorAnswers({ streams }: Pick<BootedVm, 'streams'>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const stream = await streams.open({ kind: 'tcp', port: UNUSED_PORT }, { signal, turn: 'first' })
      stream.destroy()
      return
    } catch (thrown) {
      if (thrown instanceof StreamRefusedError) return
      await tick(signal)
    }
  }
}

interface Silence {
  readonly isAgentSilent: boolean
  readonly log: Logger
}

/** QEMU knows whether its guest runs. One that does not answer either is what does not run. */
async function diagnose({ guest }: BootedVm, { isAgentSilent, log }: Silence): Promise<Diagnosis> {
  using deadline = startDeadline({
    ms: DIAGNOSIS_DEADLINE_MS,
    signal: guest.gone,
    onPassed: () => new Error('it did not answer'),
  })
  try {
    return explainStatus(await guest.monitor.until(deadline.signal).execute('query-status'), isAgentSilent)
  } catch (thrown) {
    log.debug(`QEMU's monitor: ${reasonOf(thrown)}`)
    return {
      why: 'its QEMU does not answer either: it was stopped, or its machine has no time for it',
      verdict: 'stalled',
      remedy: 'see whether the process of QEMU was stopped (SIGSTOP), and what load the machine has',
    }
  }
}
