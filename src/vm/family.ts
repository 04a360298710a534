import type { Logger } from '../log/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import type { VmPlan } from './plan.ts'
import { type Spare, SparePool } from './pool/spares.ts'
import type { SpareReservation } from './start.ts'

export interface FamilyParts {
  readonly plan: VmPlan
  /** Undefined where no spare can be made. It gives none where there is no memory for one. */
  readonly makeSpare: ((signal: AbortSignal) => Promise<Spare | undefined>) | undefined
  readonly log: Logger
}

/** The VMs of one plan, and the spares for them all. Those end when nobody wants any more: with the last VM, unless somebody has reserved some. */
export class Family {
  readonly plan: VmPlan
  readonly log: Logger
  readonly #makeSpare: FamilyParts['makeSpare']
  readonly #reserved = new Map<SpareReservation, number>()
  #pool: { readonly spares: SparePool; readonly expendable: Disposable } | undefined
  #living = 0
  #closed = false

  constructor({ plan, makeSpare, log }: FamilyParts) {
    this.plan = plan
    this.log = log
    this.#makeSpare = makeSpare
  }

  /** One that is ready, or that is being made, if any is; it is the caller's now. @throws the signal's reason */
  async takeSpare(signal: AbortSignal): Promise<Spare | undefined> {
    return await this.#pool?.spares.take(signal)
  }

  /** The VM is of the family until it ends; and spares are kept from now on. */
  add({ disposals }: BootedVm): void {
    this.#living++
    disposals.defer('family', async () => {
      this.#living--
      await this.#endUnused()
    })
    this.#keepSpares()
  }

  /** Keeps so many spares ready, beside those of the entry's `spares`. */
  reserve(count: number): SpareReservation {
    const reservation = {
      resize: (resized: number) => {
        if (!this.#reserved.has(reservation)) return
        this.#reserved.set(reservation, resized)
        this.#keepSpares()
      },
      [Symbol.asyncDispose]: async () => {
        this.#reserved.delete(reservation)
        this.#keepSpares()
        await this.#endUnused()
      },
    }
    this.#reserved.set(reservation, count)
    this.#keepSpares()
    return reservation
  }

  /** Ends the spares for good: what VMs of the plan start from is about to go. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#endSpares()
  }

  /** There may be VMs after it, and then other spares. */
  async #endSpares(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    pool?.expendable[Symbol.dispose]()
    await pool?.spares[Symbol.asyncDispose]()
  }

  async #endUnused(): Promise<void> {
    if (this.#reserved.size > 0) return
    const isOver = this.#living === 0 && this.plan.origin === 'image'
    // Nor beside a VM that lives on, as one does that is kept because a test failed.
    if (isOver || this.#wanted === 0) await this.#endSpares()
  }

  get #wanted(): number {
    const { spares } = this.plan.entry
    const ofEntry = spares === 'auto' ? 0 : spares
    return [...this.#reserved.values()].reduce((sum, reserved) => sum + reserved, ofEntry)
  }

  #keepSpares(): void {
    if (this.#closed) return
    const count = this.#wanted
    if (count > 0) this.#pool ??= this.#newPool()
    this.#pool?.spares.keep(count)
  }

  #newPool() {
    if (this.#makeSpare === undefined) return undefined
    const { admission } = this.plan.session
    const isMemoryShort = () => admission.isShort
    const spares = new SparePool({ make: this.#makeSpare, isMemoryShort, log: this.log })
    return { spares, expendable: admission.addExpendable(spares) }
  }
}
