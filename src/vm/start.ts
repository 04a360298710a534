import { randomBytes } from 'node:crypto'
import { neverAborted } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { Session } from './session.ts'

/** One start of a VM: what tells it from the others of its plan, and goes with it through all its steps. */
export interface Start {
  /** What the guest calls itself. */
  readonly hostname: string
  readonly timeline: Timeline
  readonly log: Logger
  /** Calls the start off; what was started is ended. */
  readonly signal: AbortSignal
  /** Longest wait for memory that other VMs of this process have, in milliseconds; undefined for the entry's `bootTimeoutMs`. */
  readonly memoryWaitMs: number | undefined
}

/** The part of a start that what comes before the VM needs: images are built without one as well. */
export type Preparation = Pick<Start, 'log' | 'signal'>

/** What a caller of `fork()` may say of its start. */
export interface ForkOptions {
  /** Cancels the start; what was started is ended. */
  readonly signal?: AbortSignal | undefined
  /**
   * Longest wait for memory that other VMs of this process have, in milliseconds, while none starts or ends. `Infinity` where one surely
   * will end.
   * @default the entry's `bootTimeoutMs`
   */
  readonly memoryWaitMs?: number | undefined
}

export interface StartOptions extends ForkOptions {
  readonly hostname: string
  /** With what was done for this start before. @default nothing was */
  readonly timeline?: Timeline
  /** @default the session's */
  readonly log?: Logger
}

export function newStart(session: Pick<Session, 'log'>, options: StartOptions): Start {
  const { hostname, timeline = new Timeline(), log = session.log, signal = neverAborted(), memoryWaitMs } = options
  return { hostname, timeline, log, signal, memoryWaitMs }
}

/** Starts a clone. */
export type Fork<Vm> = (options?: ForkOptions) => Promise<Vm>

/** Clones that are kept ready for `fork()` until it is disposed, whatever VMs end before. */
export interface SpareReservation extends AsyncDisposable {
  /** Keeps so many ready from now on. */
  resize(count: number): void
}

/** The start of another VM of the same entry, with a hostname of its own: `cgroupv1-3fa2c1`. */
export function cloneStart(
  { name }: KernelEntry,
  { log, signal = neverAborted(), memoryWaitMs }: ForkOptions & Pick<Start, 'log'>,
): Start {
  const own = `-${randomBytes(3).toString('hex')}`
  return { hostname: name.slice(0, 63 - own.length) + own, timeline: new Timeline(), log, signal, memoryWaitMs }
}

/** One step of a start. */
export interface Step {
  readonly name: string
  /** Milliseconds since the start was called. */
  readonly fromMs: number
  readonly toMs: number
}

/** Where the time of a start went; steps may overlap, because what can wait side by side does. */
export class Timeline {
  readonly #origin = performance.now()
  readonly #steps: Step[] = []

  get steps(): readonly Step[] {
    return this.#steps
  }

  /** Milliseconds since the start was called. */
  get nowMs(): number {
    return performance.now() - this.#origin
  }

  /** Begins a step, which ends when it is disposed; one that fails is recorded as well. */
  step(name: string): Disposable {
    const fromMs = this.nowMs
    return { [Symbol.dispose]: () => this.add({ name, fromMs, toMs: this.nowMs }) }
  }

  /** A step that is one call. */
  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    using _step = this.step(name)
    return await work()
  }

  /** A step that was timed elsewhere. */
  add(step: Step): void {
    this.#steps.push(step)
  }

  /** The steps and their sum so far, for one line of output: `0.6 s (image 0.1, container 0.2, ...)`. */
  summary(): string {
    const parts = this.#steps.map(({ name, fromMs, toMs }) => `${name} ${((toMs - fromMs) / 1000).toFixed(1)}`)
    return `${(this.nowMs / 1000).toFixed(1)} s (${parts.join(', ')})`
  }
}
