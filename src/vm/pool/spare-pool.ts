import { reasonOf } from '../../errors/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Spare } from './spare.ts'

export interface SparePoolOptions {
  /** How many are kept ready. */
  readonly count: number
  readonly make: (signal: AbortSignal) => Promise<Spare>
  readonly log: Logger
}

/** Keeps clones ready, and makes up for those that were taken, one at a time and in the background. */
export class SparePool implements AsyncDisposable {
  readonly #options: SparePoolOptions
  readonly #ended = new AbortController()
  readonly #ready: Spare[] = []
  #filling: Promise<void> | undefined
  #disposal: Promise<void> | undefined

  constructor(options: SparePoolOptions) {
    this.#options = options
  }

  /** Begins to make what is missing; resolves when there is nothing to make. Memoised while it works. Never rejects. */
  fill(): Promise<void> {
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined
    })
    return this.#filling
  }

  /** One that is ready, if any is; it is the caller's now. */
  take(): Spare | undefined {
    const spare = this.#ready.shift()
    void this.fill()
    return spare
  }

  /** Ends those that nobody took; memoised. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= this.#dispose()
    return this.#disposal
  }

  async #fill(): Promise<void> {
    const { count, make, log } = this.#options
    while (!this.#ended.signal.aborted && this.#ready.length < count) {
      try {
        this.#keep(await make(this.#ended.signal))
      } catch (thrown) {
        // Whoever wants a VM then starts one, and is told if that fails as well.
        if (!this.#ended.signal.aborted) log.debug(`no spare could be made: ${reasonOf(thrown)}`)
        return
      }
    }
  }

  #keep(spare: Spare): void {
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
