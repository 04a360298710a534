import type { Logger } from '../log/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import type { VmPlan } from './plan.ts'
import type { Spare } from './pool/spare.ts'
import { SparePool } from './pool/spare-pool.ts'

export interface FamilyParts {
  readonly plan: VmPlan
  /** Undefined where no spare can be made. */
  readonly makeSpare: ((signal: AbortSignal) => Promise<Spare>) | undefined
  readonly log: Logger
}

/** The VMs of one plan, and the spares that they share. The spares end with the last of them. */
export class Family {
  readonly plan: VmPlan
  readonly log: Logger
  readonly #makeSpare: FamilyParts['makeSpare']
  #pool: SparePool | undefined
  #living = 0

  constructor({ plan, makeSpare, log }: FamilyParts) {
    this.plan = plan
    this.log = log
    this.#makeSpare = makeSpare
  }

  /** One that is ready, if any is; it is the caller's now. */
  takeSpare(): Spare | undefined {
    return this.#pool?.take()
  }

  /** The VM is of the family until it ends; and there shall be spares from now on. */
  add({ disposals }: BootedVm): void {
    this.#living++
    disposals.defer('family', () => this.#left())
    this.#pool ??= this.#newPool()
    void this.#pool?.fill()
  }

  /** Ends the spares. There may be VMs after it, and then other spares. */
  async end(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.[Symbol.asyncDispose]()
  }

  async #left(): Promise<void> {
    if (--this.#living === 0 && this.plan.origin === 'image') await this.end()
  }

  #newPool(): SparePool | undefined {
    const { spares: count } = this.plan.entry
    if (this.#makeSpare === undefined || count === 0) return undefined
    return new SparePool({ count, make: this.#makeSpare, log: this.log })
  }
}
