import { EventEmitter, once } from 'node:events'
import { Slots } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'

export interface AdmissionOptions {
  /** How many VMs may be starting at a time; those that run do not count. */
  readonly starts: number
  /** What the engine's machine can still give, in MiB; undefined where that cannot be known. */
  readonly availableMib: () => Promise<number | undefined>
}

export interface Start {
  /** Memory that the VM needs to get going, in MiB. */
  readonly neededMib: number
  readonly log: Logger
  readonly signal: AbortSignal
}

interface AdmissionEvents {
  ended: []
}

/**
 * Lets VMs start in the order in which they came: no more at a time than the machine has cores, because each start keeps one busy;
 * and not before there is memory, as long as a VM of ours may still give some back. Says so when one waits.
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

  /** Whether a start would begin at once; what can wait leaves the machine to what cannot. */
  get idle(): boolean {
    return this.#starting === 0
  }

  /** @throws what `work` throws; the signal's reason */
  async start<T>(work: () => Promise<T>, { neededMib, log, signal }: Start): Promise<T> {
    this.#starting++
    try {
      if (this.#starting > this.#starts) log.info(`waiting for another start to end: ${this.#starts} at a time`)
      return await this.#slots.run(async () => {
        await this.#memory({ neededMib, log, signal })
        const started = await work()
        this.#living++
        return started
      }, signal)
    } finally {
      this.#starting--
    }
  }

  /** A VM that was started is no more. */
  ended(): void {
    this.#living--
    this.#events.emit('ended')
  }

  async #memory({ neededMib, log, signal }: Start): Promise<void> {
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
