import { randomBytes } from 'node:crypto'
import { reasonOf } from '../../errors/index.ts'
import { orAborted } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import { pause, resume } from '../../qemu/index.ts'
import { restoreVm } from '../boot/boot.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'
import type { Expendable } from './admission.ts'

/** A clone that is ready, its door tried and its dockerd forwarded, and stopped: it takes memory, and no processor time. */
export interface Spare {
  readonly vm: BootedVm
  /** Lets it run, with the time and random numbers of now. */
  wake(signal: AbortSignal): Promise<BootedVm>
}

/** @throws as `restoreVm` */
export async function makeSpare(plan: TemplatePlan, start: Start): Promise<Spare> {
  const vm = await restoreVm(plan, start)
  const { guest, disposals } = vm
  using deadline = bootDeadline(plan.entry, start)
  const inTime = AbortSignal.any([deadline.signal, vm.gone])
  try {
    await pause(guest.monitor.until(inTime))
    return {
      vm,
      wake: async (signal) => {
        const until = AbortSignal.any([signal, vm.gone])
        await resume(guest.monitor.until(until))
        await Promise.all([guest.control.refresh(randomBytes(32), until), guest.control.setClock(until)])
        return vm
      },
    }
  } catch (thrown) {
    await disposals.dispose()
    throw thrown
  }
}

export interface SparePoolOptions {
  /** Makes one; undefined where there is no memory for it now. */
  readonly make: (signal: AbortSignal) => Promise<Spare | undefined>
  /** Whether others wait for the memory that a spare takes. */
  readonly isMemoryShort: () => boolean
  readonly log: Logger
}

type Claim = (spare: Spare | undefined) => void

/** Keeps clones ready, made one at a time and in the background. */
export class SparePool implements AsyncDisposable, Expendable {
  readonly #options: SparePoolOptions
  readonly #ended = new AbortController()
  readonly #ready: Spare[] = []
  #count = 0
  #filling: Promise<void> | undefined
  /** Of a caller who waits for the one that is being made. */
  #claim: Claim | undefined
  #disposal: Promise<void> | undefined

  constructor(options: SparePoolOptions) {
    this.#options = options
  }

  /** Keeps so many ready from now on. Those that are there already stay, to be taken. */
  keep(count: number): void {
    this.#count = count
    this.fill()
  }

  /** Begins to make what is missing. */
  fill(): void {
    if (this.#filling === undefined && this.#lacksOne) this.#filling = this.#fill()
  }

  /**
   * One that is ready, or the one that is being made; it is the caller's then. Undefined where there is neither.
   * @throws the signal's reason
   */
  async take(signal: AbortSignal): Promise<Spare | undefined> {
    const ready = this.#ready.shift()
    if (ready !== undefined || this.#filling === undefined || this.#claim !== undefined) return ready
    let claim: Claim = () => {}
    const made = new Promise<Spare | undefined>((resolve) => {
      claim = resolve
    })
    this.#claim = claim
    try {
      return await orAborted(made, signal)
    } catch (reason) {
      // One that is still to come stays, for the next; one that came at this moment is nobody's.
      if (this.#claim === claim) this.#claim = undefined
      else await (await made)?.vm.disposals.dispose()
      throw reason
    }
  }

  async endOne(): Promise<boolean> {
    const spare = this.#ready.shift()
    await spare?.vm.disposals.dispose()
    return spare !== undefined
  }

  /** Ends those that nobody took; memoised. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose()
    return this.#disposal
  }

  get #lacksOne(): boolean {
    return !this.#ended.signal.aborted && this.#ready.length < this.#count
  }

  async #fill(): Promise<void> {
    const { make, log } = this.#options
    try {
      while (this.#lacksOne) {
        const spare = await make(this.#ended.signal)
        if (spare === undefined) return
        if (this.#answer(spare)) continue
        if (this.#options.isMemoryShort() || spare.vm.gone.aborted) {
          // And none is made for now: the start that needs the memory has not taken it yet.
          await spare.vm.disposals.dispose()
          return
        }
        this.#add(spare)
      }
    } catch (thrown) {
      // A fork then starts one, and fails with the reason if that fails as well.
      if (!this.#ended.signal.aborted) log.debug(`no spare could be made: ${reasonOf(thrown)}`)
    } finally {
      // Together: who comes after it must not wait for what comes no more.
      this.#filling = undefined
      this.#answer(undefined)
    }
  }

  /** To who waits for it, if anybody does. */
  #answer(spare: Spare | undefined): boolean {
    const claim = this.#claim
    this.#claim = undefined
    claim?.(spare)
    return claim !== undefined
  }

  #add(spare: Spare): void {
    this.#ready.push(spare)
    spare.vm.gone.addEventListener(
      'abort',
      () => {
        const at = this.#ready.indexOf(spare)
        if (at < 0) return
        this.#ready.splice(at, 1)
        void spare.vm.disposals.dispose()
      },
      { once: true },
    )
  }

  async #dispose(): Promise<void> {
    this.#ended.abort(new Error('the pool of spares was ended'))
    await this.#filling
    await Promise.all(this.#ready.splice(0).map(({ vm }) => vm.disposals.dispose()))
  }
}
