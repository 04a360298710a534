import { EventEmitter, once } from 'node:events'
import { Slots } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'

export interface AdmissionOptions {
  /** How many VMs may be starting at a time; those that run do not count. */
  readonly starts: number
  /** What the engine's machine can still give, in MiB; undefined where that cannot be known. */
  readonly availableMib: () => Promise<number | undefined>
}

/** Whose turn it is: a start that says when it has to wait, until it is called off. */
export interface Waiting {
  readonly log: Logger
  readonly signal: AbortSignal
}

/** The turn of one start, which is over when it is disposed. */
export interface Turn extends Disposable {
  /** Waits until the machine can give so much memory, as long as a VM of ours may still give some back. @throws the signal's reason */
  memory(neededMib: number): Promise<void>
  /** The VM was started, and others may wait for its end. */
  started(ended: Promise<unknown>): void
}

interface AdmissionEvents {
  ended: []
}

/**
 * Lets VMs start in the order in which they came: no more at a time than the machine has cores, because each start keeps one busy;
 * and not before there is memory. Says so when one waits.
 */
export class Admission {
  readonly #slots: Slots
  readonly #starts: number
  readonly #availableMib: AdmissionOptions['availableMib']
  readonly #events = new EventEmitter<AdmissionEvents>()
  #starting = 0
  #living = 0

  constructor({ starts, availableMib }: AdmissionOptions) {
    this.#slots = new Slots(starts)
    this.#starts = starts
    this.#availableMib = availableMib
    this.#events.setMaxListeners(0)
  }

  /** Waits for a turn to start a VM. @throws the signal's reason */
  async turn(waiting: Waiting): Promise<Turn> {
    this.#starting++
    try {
      if (this.#starting > this.#starts) waiting.log.info(`waiting for another start to end: ${this.#starts} at a time`)
      const slot = await this.#slots.take(waiting.signal)
      return {
        memory: (neededMib) => this.#memory(neededMib, waiting),
        started: (ended) => this.#await(ended),
        [Symbol.dispose]: () => {
          this.#starting--
          slot[Symbol.dispose]()
        },
      }
    } catch (reason) {
      this.#starting--
      throw reason
    }
  }

  #await(ended: Promise<unknown>): void {
    this.#living++
    void ended.then(() => {
      this.#living--
      this.#events.emit('ended')
    })
  }

  async #memory(neededMib: number, { log, signal }: Waiting): Promise<void> {
    let told = false
    for (;;) {
      const available = await this.#availableMib()
      // Where no VM of ours will end, waiting helps nobody: the kernel of the machine has the last word.
      if (available === undefined || available >= neededMib || this.#living === 0) return
      if (!told) {
        log.info(`waiting for a VM to end: ${Math.floor(available)} MiB of memory are free, ${neededMib} are needed`)
      }
      told = true
      await once(this.#events, 'ended', { signal }).catch((thrown) => {
        throw signal.aborted ? signal.reason : thrown
      })
    }
  }
}
