import { orAborted } from '../lifetime/index.ts'
import type { Entrance, RunDirectory, StartedKernelVm } from '../vm/index.ts'
import type { FateFile, Fates } from './fates.ts'
import type { RunLogs } from './run-logs.ts'
import { RUN_MEMORY_WAIT_MS } from './vm-leases.ts'

export interface RetriesOptions {
  /** The VM that tests run on, but for those that are tried again. Who started it ends it. */
  readonly first: Promise<StartedKernelVm>
  /** Makes a directory for the sockets of this entrance alone. */
  readonly makeDirectory: () => Promise<Pick<RunDirectory, 'path'> & AsyncDisposable>
  /** Of this machine's loopback, for this entrance alone. */
  readonly address: string
  readonly fates: Pick<Fates, 'follow'>
  readonly logs: Pick<RunLogs, 'follow' | 'keep'>
}

/** A VM that the entrance leads to once it has started. */
interface Place {
  readonly vm: Promise<StartedKernelVm>
  /** Says what becomes of it. */
  readonly fate: Promise<FateFile>
}

/**
 * What a test file has of an entry where failed tests are tried again on fresh VMs: one entrance, whose addresses stay, because clients that a
 * test file has made know no others. It leads to the file's own VM, or to a fork of that.
 */
export class Retries implements AsyncDisposable {
  readonly #options: RetriesOptions
  #own: Place
  #fresh: Place | undefined
  readonly #over = new AbortController()
  #directory: Awaited<ReturnType<RetriesOptions['makeDirectory']>> | undefined
  #entrance: Entrance | undefined
  #leadsTo: StartedKernelVm | undefined
  /** The last move of the entrance. A VM that is still starting is not waited for: none begins after the end. */
  #moved: Promise<unknown> = Promise.resolve()
  #previous: Promise<unknown> = Promise.resolve()
  #ended: Promise<void> | undefined

  constructor(options: RetriesOptions) {
    this.#options = options
    this.#own = this.#place(this.#begin())
  }

  /** Says what becomes of the VM that the file's tests are on, unless they are tried again. */
  get own(): Promise<FateFile> {
    return this.#own.fate
  }

  /** Leads to a new fork, in place of the one before. What clients had open ends. */
  retry(): Promise<FateFile> {
    return this.#inTurn(async () => {
      await this.#end(this.#fresh)
      this.#fresh = this.#place(this.#fork())
      return await this.#told(this.#fresh)
    })
  }

  /** Leads to the file's own VM; where that has died meanwhile, the fork becomes the file's own. */
  goBack(): Promise<FateFile> {
    return this.#inTurn(async () => {
      const [own, fresh] = [this.#own, this.#fresh]
      this.#fresh = undefined
      if (await isThere(own)) {
        await this.#leadBack(own)
        await this.#end(fresh)
      } else if (fresh !== undefined && (await isThere(fresh))) {
        this.#own = fresh
        await this.#end(own)
      } else await this.#end(fresh)
      return await this.#told(this.#own)
    })
  }

  /** Closes the entrance, and ends all forks; memoised. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('nobody waits for this VM any more'))
    this.#ended ??= this.#inTurn(async () => {
      await this.#moved
      await this.#entrance?.[Symbol.asyncDispose]()
      await Promise.all([this.#end(this.#fresh), this.#end(this.#own)])
      await this.#directory?.[Symbol.asyncDispose]()
    })
    return this.#ended
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#previous.then(work)
    this.#previous = done.catch(() => {})
    return done
  }

  /** @param vm the entrance leads to it when it is there */
  #place(vm: Promise<StartedKernelVm>): Place {
    const fate = this.#options.fates.follow({ started: vm }, () => this.#entrance)
    // Who asks is told.
    fate.catch(() => {})
    return { vm, fate }
  }

  /** When there is something to read. */
  async #told({ fate }: Place): Promise<FateFile> {
    const file = await fate
    await file.written
    return file
  }

  /** The first VM; where it died in a test file before, a fork of it. */
  async #begin(): Promise<StartedKernelVm> {
    const first = await orAborted(this.#options.first, this.#over.signal)
    if (first.gone.aborted) return await this.#fork()
    await this.#leadTo(first)
    return first
  }

  async #fork(): Promise<StartedKernelVm> {
    const first = await this.#options.first
    const vm = await first.fork({ signal: this.#over.signal, memoryWaitMs: RUN_MEMORY_WAIT_MS })
    try {
      await this.#options.logs.follow(vm)
      await this.#leadTo(vm)
      return vm
    } catch (thrown) {
      await vm.stop()
      throw thrown
    }
  }

  #leadTo(vm: StartedKernelVm): Promise<void> {
    const moved = this.#moved.then(() => this.#move(vm))
    this.#moved = moved.catch(() => {})
    return moved
  }

  async #move(vm: StartedKernelVm): Promise<void> {
    this.#over.signal.throwIfAborted()
    if (this.#leadsTo === vm) return
    this.#directory ??= await this.#options.makeDirectory()
    await this.#entrance?.[Symbol.asyncDispose]()
    this.#leadsTo = undefined
    const former = this.#entrance?.forwards
    const { address } = this.#options
    this.#entrance = await vm.openEntrance({ directory: this.#directory.path, address, former })
    this.#leadsTo = vm
  }

  /** Where that cannot be, the file's tests are told why. */
  async #leadBack(own: Place): Promise<void> {
    try {
      await this.#leadTo(await own.vm)
    } catch (thrown) {
      this.#own = this.#place(Promise.reject(thrown))
      await this.#end(own)
    }
  }

  /** Who started the first one ends it. */
  async #end(place: Place | undefined): Promise<void> {
    const vm = await place?.vm.catch(() => undefined)
    if (vm === undefined || vm === (await this.#options.first)) return
    await this.#options.logs.keep(vm)
    await vm.stop()
  }
}

async function isThere(place: Place | undefined): Promise<boolean> {
  const vm = await place?.vm.catch(() => undefined)
  return vm !== undefined && !vm.gone.aborted
}
