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

  /** Times one piece of work. A step that fails is recorded as well. */
  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const fromMs = this.#now()
    try {
      return await work()
    } finally {
      this.#steps.push({ name, fromMs, toMs: this.#now() })
    }
  }

  /** The steps and their sum so far, for one line of output: `image 0.1 s, container 0.4 s, ...`. */
  summary(): string {
    const parts = this.#steps.map(({ name, fromMs, toMs }) => `${name} ${((toMs - fromMs) / 1000).toFixed(1)}`)
    return `${(this.#now() / 1000).toFixed(1)} s (${parts.join(', ')})`
  }

  #now(): number {
    return performance.now() - this.#origin
  }
}
