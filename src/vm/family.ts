import { randomBytes } from 'node:crypto'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { BootedVm } from './boot/boot-once.ts'
import { bootPlanned, type OneStart } from './boot-planned.ts'
import { Checkpoint } from './checkpoint.ts'
import type { ForkOptions } from './fork.ts'
import type { VmPlan } from './plan.ts'
import { makeSpare, type Spare } from './pool/spare.ts'
import { SparePool } from './pool/spare-pool.ts'
import { StartedKernelVm } from './started-kernel-vm.ts'
import { takeCheckpoint } from './template/take-checkpoint.ts'
import { Timeline } from './timeline.ts'
import { waitUntilReady } from './wait.ts'

/** What a clone writes to before it does anything: on this side of it, no VM gets going. */
const CLONE_NEEDS_MIB = 128

/** The VMs of one plan, and the spares that they share. The spares end with the last of them. */
export class Family {
  readonly #plan: VmPlan
  readonly #log: Logger
  #pool: SparePool | undefined
  #living = 0

  constructor(plan: VmPlan, log: Logger) {
    this.#plan = plan
    this.#log = log
  }

  /** The first VM. @throws as `startVm` */
  async start(start: OneStart): Promise<StartedKernelVm> {
    const booted = await this.#admitted(start.signal, () => bootPlanned(this.#plan, start))
    const vm = await this.#member(booted, start)
    const who = start.hostname === this.#plan.entry.name ? '' : `${start.hostname} is `
    start.log.info(`${who}ready in ${start.timeline.summary()}`)
    return vm
  }

  async #fork({ signal = new AbortController().signal }: ForkOptions = {}): Promise<StartedKernelVm> {
    const spare = this.#pool?.take()
    if (spare === undefined) return await this.start(this.#next(signal))
    const timeline = new Timeline()
    try {
      return await this.#member(await timeline.time('spare', () => spare.wake(signal)), { timeline, signal })
    } catch (thrown) {
      await spare.vm.disposals.dispose()
      throw thrown
    }
  }

  async #checkpoint(vm: BootedVm, { signal = new AbortController().signal }: ForkOptions = {}) {
    const { host, entry } = this.#plan
    const template = await takeCheckpoint(vm, { ...this.#plan, ...this.#next(signal) })
    const descendants = new Family({ ...this.#plan, template, origin: 'checkpoint' }, this.#log)
    return new Checkpoint({
      host,
      entry: entry.name,
      volume: template.volume,
      start: (options) => descendants.#fork(options),
      end: () => descendants.#end(),
    })
  }

  async #member(
    booted: BootedVm,
    { timeline, signal }: Pick<OneStart, 'timeline' | 'signal'>,
  ): Promise<StartedKernelVm> {
    this.#living++
    booted.disposals.defer('family', () => this.#left())
    this.#pool ??= this.#newPool()
    void this.#pool?.fill()
    const vm = new StartedKernelVm({
      entry: this.#plan.entry,
      booted,
      timeline,
      fork: (options) => this.#fork(options),
      checkpoint: (options) => this.#checkpoint(booted, options),
    })
    const { waitStrategy } = this.#plan
    if (waitStrategy === undefined) return vm
    try {
      await timeline.time('wait', () => waitUntilReady(vm, waitStrategy, signal))
      return vm
    } catch (thrown) {
      await vm.stop()
      throw thrown
    }
  }

  async #left(): Promise<void> {
    if (--this.#living === 0 && this.#plan.origin === 'image') await this.#end()
  }

  /** There may be VMs after it, and then other spares. */
  async #end(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.[Symbol.asyncDispose]()
  }

  #newPool(): SparePool | undefined {
    const { template, entry } = this.#plan
    if (template === undefined || entry.spares === 0) return undefined
    const make = (signal: AbortSignal) =>
      this.#admitted(signal, () => makeSpare(template, { ...this.#plan, ...this.#next(signal) }))
    return new SparePool({ count: entry.spares, make, log: this.#log })
  }

  /** Waits for its turn; the VM's end makes room for another. */
  async #admitted<Vm extends BootedVm | Spare>(signal: AbortSignal, start: () => Promise<Vm>): Promise<Vm> {
    const { admission } = this.#plan.host
    const neededMib = this.#plan.template === undefined ? this.#plan.entry.memoryMib / 2 : CLONE_NEEDS_MIB
    const started = await admission.start(start, { neededMib, log: this.#log, signal })
    const { guest } = 'vm' in started ? started.vm : started
    void guest.container.exited.then(() => admission.ended())
    return started
  }

  #next(signal: AbortSignal): OneStart {
    return { hostname: cloneName(this.#plan.entry), timeline: new Timeline(), log: this.#log, signal }
  }
}

/** Clones of one entry have hostnames of their own: `cgroupv1-3fa2c1`. */
function cloneName({ name }: KernelEntry): string {
  const own = `-${randomBytes(3).toString('hex')}`
  return name.slice(0, 63 - own.length) + own
}
