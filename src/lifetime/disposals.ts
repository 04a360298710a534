/**
 * Clean-ups in the order they were promised, run in reverse. Each resource registers here the moment it exists, so a start
 * that fails half-way disposes just what it made.
 */
export class Disposals implements AsyncDisposable {
  readonly #steps: { name: string; run: () => unknown }[] = []
  #disposal: Promise<void> | undefined

  /** Registers a clean-up. `name` is quoted when it fails. */
  defer(name: string, run: () => unknown): void {
    this.#steps.push({ name, run })
  }

  /** Registers `resource` itself and returns it. */
  use<T extends AsyncDisposable>(name: string, resource: T): T {
    this.defer(name, () => resource[Symbol.asyncDispose]())
    return resource
  }

  /** Hands all clean-ups to a new stack: this one disposes nothing any more. The way out of a start that succeeded. */
  move(): Disposals {
    const moved = new Disposals()
    moved.#steps.push(...this.#steps.splice(0))
    return moved
  }

  /**
   * Runs every clean-up once, last registered first; memoised. One that throws does not stop the others.
   * @throws AggregateError of all that failed
   */
  dispose(): Promise<void> {
    this.#disposal ??= this.#run()
    return this.#disposal
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  async #run(): Promise<void> {
    const failures: Error[] = []
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run()
      } catch (cause) {
        failures.push(new Error(`cannot dispose ${step.name}`, { cause }))
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, failures.map((failure) => failure.message).join('; '))
  }
}
