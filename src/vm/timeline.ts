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
