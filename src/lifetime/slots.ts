import { orAborted } from './deadline.ts'

/** Lets so many things be done at the same time, and the others wait in the order in which they came. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Does the work once there is a slot for it. @throws the signal's reason when it aborts first; what the work throws */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#take(signal)
    try {
      return await work()
    } finally {
      this.#give()
    }
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return
    }
    let wake = () => {}
    const turn = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#waiting.push(wake)
    try {
      await orAborted(turn, signal)
    } catch (reason) {
      const place = this.#waiting.indexOf(wake)
      // Its turn may have come in the same moment.
      if (place < 0) this.#give()
      else this.#waiting.splice(place, 1)
      throw reason
    }
  }

  #give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}
