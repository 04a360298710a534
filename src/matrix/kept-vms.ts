import { reasonOf } from '../errors/index.ts'
import { keepAlive, startDeadline, whenAborted } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KeepOnFailure } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'

type KeepableVm = Pick<StartedKernelVm, 'entry' | 'hostname' | 'dockerHost' | 'gone'>

export interface KeptVmsOptions {
  readonly log: Logger
  /** Whether there is a terminal, and somebody at it who can press Ctrl-C. */
  readonly isAttended: boolean
}

interface Keeping {
  readonly keepOnFailure: KeepOnFailure
  /** Ends the VM, or gives it up. */
  readonly end: () => Promise<void>
}

interface KeptVm {
  readonly vm: KeepableVm
  /** How long, once the tests are over, in milliseconds; undefined for no limit. */
  readonly ms: number | undefined
  /** What all who had it would have done to it, in order. */
  readonly ends: (() => Promise<void>)[]
  ended?: Promise<void>
}

/**
 * The VMs on which tests failed, of each entry the first: at the end of a run they stay, and the test runner waits, until Ctrl-C or the end of their
 * time. Nothing of them outlives this process, and so they are what they were: with their sockets, their forwards and their ports. During the run
 * they end where another VM needs their memory.
 */
export class KeptVms {
  readonly #log: Logger
  readonly #isAttended: boolean
  /** By entry. */
  readonly #kept = new Map<string, KeptVm>()
  readonly #over = new AbortController()
  readonly #refused = new Set<string>()

  constructor({ log, isAttended }: KeptVmsOptions) {
    this.#log = log
    this.#isAttended = isAttended
  }

  /** Whether a VM of the entry is kept. */
  has(entry: string): boolean {
    return this.#kept.has(entry)
  }

  /**
   * Keeps a VM on which a test failed, in place of its end.
   * @returns whether it does: then `end` is called later
   */
  keep(vm: KeepableVm, { keepOnFailure, end }: Keeping): boolean {
    const { name } = vm.entry
    if (this.has(name)) return this.join(vm, end)
    if (vm.gone.aborted || this.#over.signal.aborted || keepOnFailure === false) return false
    if (keepOnFailure === true && !this.#isAttended) return this.#refuse(name)
    const ms = keepOnFailure === true ? undefined : keepOnFailure.minutes * 60_000
    const kept: KeptVm = { vm, ms, ends: [end] }
    this.#kept.set(name, kept)
    vm.gone.addEventListener('abort', () => void this.#end(kept), { once: true })
    return true
  }

  /** Has somebody else who has the VM give it up with its end, if it is kept. @returns whether it is: then `end` is called later */
  join(vm: KeepableVm, end: () => Promise<void>): boolean {
    const kept = this.#kept.get(vm.entry.name)
    if (kept?.vm !== vm) return false
    kept.ends.push(end)
    return true
  }

  /** Ends one of them. @returns whether there was one */
  async endOne(): Promise<boolean> {
    const [kept] = this.#kept.values()
    if (kept === undefined) return false
    this.#log.info(`${kept.vm.hostname}, on which a test failed, is not kept: another VM needs its memory`)
    await this.#end(kept)
    return true
  }

  /** Says how one gets into them. Resolves when all have ended: at the end of their time, by themselves, or because somebody lets them go. */
  async stay(): Promise<void> {
    const kept = [...this.#kept.values()]
    if (kept.length === 0) return
    for (const { vm, ms } of kept) {
      const log = this.#log.named(vm.entry.name)
      log.info(
        `a test failed, and the VM is kept ${ms === undefined ? '' : `for ${ms / 60_000} min, or `}until Ctrl-C:`,
      )
      for (const line of waysInto(vm)) log.info(`  ${line}`)
    }
    const letGo = keepAlive()
    await Promise.all(kept.map((one) => this.#stay(one)))
    letGo()
  }

  /** Ends them, now or as soon as they would stay. */
  letGo(): void {
    this.#over.abort(new Error('they are not wanted any more'))
  }

  async #stay(kept: KeptVm): Promise<void> {
    const over = AbortSignal.any([kept.vm.gone, this.#over.signal])
    const onPassed = () => new Error('its time is over')
    using deadline = kept.ms === undefined ? undefined : startDeadline({ ms: kept.ms, onPassed, signal: over })
    await whenAborted(deadline?.signal ?? over)
    await this.#end(kept)
  }

  /** Memoised. That one cannot be ended is no failure of the run: it ends with this process. */
  #end(kept: KeptVm): Promise<void> {
    kept.ended ??= this.#endAll(kept).catch((thrown) => this.#log.warn(reasonOf(thrown)))
    return kept.ended
  }

  async #endAll({ vm, ends }: KeptVm): Promise<void> {
    this.#kept.delete(vm.entry.name)
    for (const end of ends) await end()
  }

  #refuse(entry: string): false {
    const log = this.#log.named(entry)
    const why = 'no terminal is there, or CI is set, and nobody could end it'
    if (!this.#refused.has(entry)) log.warn(`a test failed, and its VM is not kept, because ${why}`)
    if (!this.#refused.has(entry)) log.info('  remedy: keepOnFailure: { minutes: 30 } keeps it for so long')
    this.#refused.add(entry)
    return false
  }
}

/** How one gets into a VM that this process has, in lines. */
export function waysInto({ hostname, dockerHost }: Pick<KeepableVm, 'hostname' | 'dockerHost'>): readonly string[] {
  return [`testkernels shell ${hostname}`, `DOCKER_HOST=${dockerHost}`]
}
