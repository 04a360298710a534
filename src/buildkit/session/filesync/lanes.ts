/** Runs jobs side by side, no more than so many at once. */
export class Lanes {
  /** Rejects with the first failure of a job; never resolves. */
  readonly failed: Promise<never>
  readonly #count: number
  readonly #running = new Set<Promise<void>>()
  #fail: (reason: unknown) => void = () => {}

  constructor(count: number) {
    this.#count = count
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    this.failed.catch(() => {})
  }

  /** Resolves when the job has begun. */
  async start(job: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#count) await Promise.race(this.#running)
    const running = job()
      .catch(this.#fail)
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async drain(): Promise<void> {
    await Promise.all(this.#running)
  }
}
