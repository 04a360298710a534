import type { Duplex } from 'node:stream'
import { orAborted } from './deadline.ts'

/** Lets so many things be done at the same time, and the others wait in the order in which they came. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** A slot, once there is one; it is free again when it is disposed. @throws the signal's reason when it aborts first */
  async take(signal: AbortSignal): Promise<Disposable> {
    await this.#turn(signal)
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) this.#give()
        held = false
      },
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
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
      const at = this.#waiting.indexOf(wake)
      // Its turn may have come in the same moment.
      if (at < 0) this.#give()
      else this.#waiting.splice(at, 1)
      throw reason
    }
  }

  #give(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

/** Disposes what a stream holds when that is closed, which it may be already. */
export function untilClosed<T extends Duplex>(stream: T, held: Disposable): T {
  const release = () => held[Symbol.dispose]()
  if (stream.closed) release()
  else stream.once('close', release)
  return stream
}
