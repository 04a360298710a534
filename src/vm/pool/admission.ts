import { EventEmitter, once } from 'node:events'
import { Slots, startDeadline } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import { MemoryShortError } from '../errors.ts'

/** What a clone writes to before it does anything: on this side of it, no VM gets going. */
export const CLONE_NEEDS_MIB = 128

/** What a VM that boots from the start takes until its dockerd answers. */
export function bootNeedsMib({ memoryMib }: KernelEntry): number {
  return memoryMib / 2
}

export interface AdmissionOptions {
  /** How many VMs may be starting at a time; those that run do not count. */
  readonly starts: number
  /** What the engine's machine can still give, in MiB; undefined where that cannot be known. */
  readonly availableMib: () => Promise<number | undefined>
}

/** Whose turn it is: a start that says when it has to wait, until it is called off. */
export interface Waiting {
  /** Kernel entry that errors name. */
  readonly entry: string
  readonly log: Logger
  readonly signal: AbortSignal
  /**
   * Longest wait for memory while no other VM starts or ends, in milliseconds; `Infinity` where one surely will end. It begins anew with
   * each that does.
   */
  readonly memoryWaitMs: number
}

/** The turn of one start, which is over when it is disposed. */
export interface Turn extends Disposable {
  /**
   * Waits until the machine can give so much memory, as long as a VM of ours may still give some back; spares do so at once.
   * @throws the signal's reason; MemoryShortError where those that live do not end
   */
  memory(neededMib: number): Promise<void>
  /** Waits for the work of another start, which may be waiting for memory: it must not wait for this one. @returns what comes of it */
  waitFor<T>(work: Promise<T>): Promise<T>
  /** The VM was started, and others may wait for its end. */
  started(ended: Promise<unknown>): void
}

/** VMs that nobody has: they end when a start needs their memory. */
export interface Expendable {
  /** Ends one of them. @returns whether there was one */
  endOne(): Promise<boolean>
}

interface AdmissionEvents {
  /** A VM ended, or a start did: what boots takes more than what runs, and a template is made by a VM that ends. */
  gaveBack: []
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
  readonly #expendable = new Set<Expendable>()
  #starting = 0
  /** Starts that have their memory. */
  #booting = 0
  #living = 0
  #ends = 0
  #short = 0

  constructor({ starts, availableMib }: AdmissionOptions) {
    this.#slots = new Slots(starts)
    this.#starts = starts
    this.#availableMib = availableMib
    this.#events.setMaxListeners(0)
  }

  /** Whether a start waits for memory now. */
  get isShort(): boolean {
    return this.#short > 0
  }

  /** Waits for a turn to start a VM. @throws the signal's reason */
  async turn(waiting: Waiting): Promise<Turn> {
    this.#starting++
    try {
      if (this.#starting > this.#starts) waiting.log.info(`waiting for another start to end: ${this.#starts} at a time`)
      const slot = await this.#slots.take(waiting.signal)
      let boots = false
      const takeMemory = () => {
        if (!boots) this.#booting++
        boots = true
      }
      const giveBack = () => {
        if (!boots) return
        boots = false
        this.#booting--
        this.#events.emit('gaveBack')
      }
      return {
        memory: async (neededMib) => {
          if (!(await this.#isShortOf(neededMib))) return takeMemory()
          // It waits for others, and not they for it.
          giveBack()
          await this.#waitForMemory(neededMib, waiting, takeMemory)
        },
        waitFor: (work) => {
          giveBack()
          return work.finally(takeMemory)
        },
        started: (ended) => this.#await(ended),
        [Symbol.dispose]: () => {
          this.#starting--
          giveBack()
          slot[Symbol.dispose]()
        },
      }
    } catch (reason) {
      this.#starting--
      throw reason
    }
  }

  /** Whether there is memory for a clone that nobody waits for, and for one that somebody asks for next. Waits for nothing. */
  async hasRoomForSpare(): Promise<boolean> {
    return !(await this.#isShortOf(2 * CLONE_NEEDS_MIB)) && !this.isShort
  }

  /** VMs that end when a start needs their memory, until what this returns is disposed. */
  addExpendable(vms: Expendable): Disposable {
    this.#expendable.add(vms)
    return { [Symbol.dispose]: () => void this.#expendable.delete(vms) }
  }

  #await(ended: Promise<unknown>): void {
    this.#living++
    void ended.then(() => {
      this.#living--
      this.#ends++
      this.#events.emit('gaveBack')
    })
  }

  async #waitForMemory(neededMib: number, waiting: Waiting, take: () => void): Promise<void> {
    this.#short++
    try {
      await this.#untilAvailable(neededMib, waiting, take)
    } finally {
      this.#short--
    }
  }

  /** @param take is called the moment that it may go on, so that no two go on because neither had begun */
  async #untilAvailable(neededMib: number, waiting: Waiting, take: () => void): Promise<void> {
    let told = false
    for (let inTime = true; ; ) {
      const endsBefore = this.#ends
      const available = await this.#availableMib()
      if (available === undefined || available >= neededMib) return take()
      waiting.signal.throwIfAborted()
      // What ended meanwhile gave back what was not seen yet.
      if ((await this.#endExpendable()) || this.#ends > endsBefore) continue
      // Where no VM of ours will end, waiting helps nobody: the kernel of the machine has the last word.
      if (this.#living === 0 && this.#booting === 0) return take()
      const shortage = `${Math.floor(available)} MiB of memory are free, ${neededMib} are needed`
      if (!inTime && this.#booting === 0) throw memoryShort(shortage, this.#living, waiting)
      if (!told) waiting.log.info(`waiting for a VM to end: ${shortage}`)
      told = true
      inTime = await this.#givenBack(waiting)
    }
  }

  /**
   * Waits for memory that a VM or a start of ours gives back. Starts that boot have deadlines of their own, and are waited for.
   * @returns whether one did in time @throws the signal's reason
   */
  async #givenBack({ signal, memoryWaitMs }: Waiting): Promise<boolean> {
    const late = new Error('none was given back')
    const isLimited = Number.isFinite(memoryWaitMs) && this.#booting === 0
    using deadline = isLimited ? startDeadline({ ms: memoryWaitMs, signal, onPassed: () => late }) : undefined
    const until = deadline?.signal ?? signal
    try {
      await once(this.#events, 'gaveBack', { signal: until })
      return true
    } catch (thrown) {
      const reason = until.aborted ? until.reason : thrown
      if (reason === late) return false
      throw reason
    }
  }

  async #isShortOf(neededMib: number): Promise<boolean> {
    const available = await this.#availableMib()
    return available !== undefined && available < neededMib
  }

  async #endExpendable(): Promise<boolean> {
    for (const vms of this.#expendable) if (await vms.endOne()) return true
    return false
  }
}

function memoryShort(shortage: string, living: number, { entry, memoryWaitMs }: Waiting): MemoryShortError {
  const others = living === 1 ? 'the VM that runs' : `the ${living} VMs that run`
  return new MemoryShortError({
    what: `${shortage}, and ${others} gave none back in ${memoryWaitMs / 1000} s`,
    entry,
    remedy:
      'give VMs less (memoryMib), start fewer at a time (--project, --selectProjects, --maxWorkers), or end one first',
  })
}
