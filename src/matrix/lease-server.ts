import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { followLines } from '../log/index.ts'
import type { Isolation } from '../options/index.ts'
import type { SpareReservation, StartedKernelVm } from '../vm/index.ts'
import type { LeaseRequest, RetryRequest } from '../worker/index.ts'
import { type FateFile, type Fates, hasFailureIn, tellWhenWritten } from './fates.ts'
import type { Retries } from './retries.ts'
import type { RunLogs } from './run-logs.ts'
import { RUN_MEMORY_WAIT_MS, type VmLease } from './vm-leases.ts'

export interface LeaseServerOptions {
  /** The first VM of each entry, which nobody else leases. */
  readonly firsts: readonly Pick<VmLease, 'started'>[]
  /** Whether a VM is its worker's for good, or that of one test file; `project` where workers ask for retries alone. */
  readonly isolation: Isolation
  /** How many workers the test runner has at the most. */
  readonly workers: number
  readonly directory: () => Promise<string>
  readonly fates: Pick<Fates, 'follow'>
  readonly logs: Pick<RunLogs, 'follow' | 'keep'>
  /** Makes the entrance by which a test file's failed tests are tried again on fresh VMs. @default they are tried again where they are */
  readonly retriesFor?: ((first: Promise<StartedKernelVm>) => Retries) | undefined
  /** Keeps a VM on which a test failed, in place of its end; returns whether it does. @default none is kept */
  readonly keep?: ((vm: StartedKernelVm, end: () => Promise<void>) => boolean) | undefined
}

/** A VM that a worker has. */
interface LeasedStart {
  readonly started: Promise<StartedKernelVm>
  /** What workers were told of it: one for all, but where each has retries of its own. */
  readonly fates: Promise<FateFile>[]
}

/** A VM that one worker has, and nobody else. */
interface WorkersLease extends LeasedStart {
  /** Of the entry. */
  readonly index: number
  readonly unwanted: AbortController
  released?: Promise<void>
}

/**
 * Leases VMs to workers, one to each: first the VM that is there for each entry, then forks of it. A worker asks on a unix socket and has
 * its VM as long as the connection lasts, so that one that is killed releases it as well.
 */
export class LeaseServer implements AsyncDisposable {
  /** Where workers ask. */
  readonly socket: string
  readonly #options: LeaseServerOptions
  readonly #server: Server
  readonly #connections = new Set<Socket>()
  readonly #leases = new Set<WorkersLease>()
  readonly #retries = new Set<Retries>()
  readonly #ofWorkers = new Map<string, WorkersLease>()
  /** By the index of the entry, where all workers have the same. */
  readonly #ofAll = new Map<number, LeasedStart>()
  readonly #firstsLeased = new Set<number>()
  /** By the index of the entry. */
  readonly #spares = new Map<number, SpareReservation>()
  #ended: Promise<void> | undefined

  private constructor(socket: string, options: LeaseServerOptions) {
    this.socket = socket
    this.#options = options
    this.#server = createServer((connection) => this.#serve(connection))
    // The test runner lives for its tests, and ends when they have; so with the connections.
    this.#server.unref()
  }

  static async open(options: LeaseServerOptions): Promise<LeaseServer> {
    // Unique in the directory, where other projects have theirs.
    const socket = join(await options.directory(), `${randomBytes(3).toString('hex')}.sock`)
    const server = new LeaseServer(socket, options)
    await new Promise<void>((resolve, reject) => {
      server.#server.once('error', reject)
      server.#server.listen(socket, resolve)
    })
    for (const [index, { started }] of options.firsts.entries()) {
      // Why there is none is told when one is asked for.
      started.then((vm) => server.#reserve(index, vm)).catch(() => {})
    }
    return server
  }

  /** Ends all that were leased, and leases no more; memoised. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  /** Whether a test failed on the VM that all workers have of an entry. */
  async hasFailure(index: number): Promise<boolean> {
    return await hasFailureIn(this.#ofAll.get(index)?.fates ?? [])
  }

  async #end(): Promise<void> {
    this.#server.close()
    for (const connection of this.#connections) connection.destroy()
    await Promise.all([...this.#retries].map((retries) => this.#endRetries(retries)))
    await Promise.all([
      ...[...this.#spares.values()].map((reservation) => reservation[Symbol.asyncDispose]()),
      ...[...this.#leases].map((lease) => this.#release(lease)),
    ])
  }

  /** Has the next VM of an entry made while tests run on those before it. */
  #reserve(index: number, first: StartedKernelVm): void {
    if (first.entry.spares !== 'auto' || this.#ended !== undefined) return
    this.#spares.set(index, first.reserveSpares(this.#usableSpares(index)))
  }

  /** A worker that has a VM asks for another one at its next file; one that has none yet, for its first. */
  #usableSpares(index: number): number {
    const { isolation, workers } = this.#options
    // There is a retry where a test fails, and for that no memory is held.
    if (isolation === 'project') return 0
    const leased = [...this.#leases].filter((lease) => lease.index === index).length
    if (isolation === 'file') return Math.min(Math.max(leased, 1), workers)
    return leased < workers ? 1 : 0
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection)
    connection.unref()
    connection.once('close', () => this.#connections.delete(connection))
    let lease: LeasedStart | undefined
    let retries: Retries | undefined
    const onLine = (line: string) => {
      const request = JSON.parse(line) as LeaseRequest | RetryRequest
      if (lease === undefined && 'index' in request) {
        lease = this.#leaseFor(request, connection)
        retries = this.#retriesOf(lease, connection)
        void tellWhenWritten(this.#fateOf(lease, retries), connection)
      } else if (retries !== undefined && 'do' in request) {
        void tellWhenWritten(request.do === 'retry' ? retries.retry() : retries.goBack(), connection)
      }
    }
    // A worker may be killed at any time. Whoever asks for something else is not answered.
    followLines(connection, { onLine, onFailure: () => {} }, { overlong: 'throw' })
  }

  #retriesOf({ started }: LeasedStart, connection: Socket): Retries | undefined {
    const retries = this.#options.retriesFor?.(started)
    if (retries === undefined) return undefined
    this.#retries.add(retries)
    connection.once('close', () => void this.#endRetries(retries))
    return retries
  }

  async #endRetries(retries: Retries): Promise<void> {
    await retries[Symbol.asyncDispose]()
    this.#retries.delete(retries)
  }

  #fateOf(lease: LeasedStart, retries: Retries | undefined): Promise<FateFile> {
    const fate = retries?.own ?? lease.fates[0] ?? this.#options.fates.follow(lease)
    if (!lease.fates.includes(fate)) lease.fates.push(fate)
    return fate
  }

  #leaseFor({ index, worker }: LeaseRequest, connection: Socket): LeasedStart {
    const { isolation } = this.#options
    if (isolation === 'project') {
      const shared = this.#ofAll.get(index) ?? { started: this.#first(index), fates: [] }
      this.#ofAll.set(index, shared)
      return shared
    }
    if (isolation === 'file') {
      const lease = this.#lease(index)
      connection.once('close', () => void this.#release(lease))
      return lease
    }
    const key = `${index} ${worker}`
    const former = this.#ofWorkers.get(key)
    if (former !== undefined) return former
    const lease = this.#lease(index)
    this.#ofWorkers.set(key, lease)
    // A worker that asks after its VM has died gets another.
    const forget = () => this.#ofWorkers.delete(key)
    lease.started.then(({ gone }) => gone.addEventListener('abort', forget, { once: true })).catch(forget)
    return lease
  }

  #lease(index: number): WorkersLease {
    const unwanted = new AbortController()
    const lease: WorkersLease = { index, started: this.#start(index, unwanted.signal), fates: [], unwanted }
    this.#leases.add(lease)
    this.#resizeSpares(index)
    return lease
  }

  async #start(index: number, signal: AbortSignal): Promise<StartedKernelVm> {
    const first = await this.#first(index)
    if (!this.#firstsLeased.has(index) && !first.gone.aborted) {
      this.#firstsLeased.add(index)
      return first
    }
    const vm = await first.fork({ signal, memoryWaitMs: this.#memoryWaitMs })
    await this.#options.logs.follow(vm)
    return vm
  }

  async #first(index: number): Promise<StartedKernelVm> {
    const first = await this.#options.firsts[index]?.started
    if (first === undefined) throw new Error(`there is no entry ${index}`)
    return first
  }

  /**
   * A VM of another test file comes back when that file ends, unless all files have some of their VMs and wait for the rest: those wait
   * as long as a boot may take. One of a worker does not come back before the run's end.
   */
  get #memoryWaitMs(): number | undefined {
    const { isolation, firsts } = this.#options
    if (isolation === 'worker') return RUN_MEMORY_WAIT_MS
    return firsts.length === 1 ? Number.POSITIVE_INFINITY : undefined
  }

  /** Memoised: the end of a test file and that of the run may meet. */
  #release(lease: WorkersLease): Promise<void> {
    lease.released ??= this.#endVm(lease)
    return lease.released
  }

  async #endVm(lease: WorkersLease): Promise<void> {
    lease.unwanted.abort(new Error('nobody waits for this VM any more'))
    const vm = await lease.started.catch(() => undefined)
    if (vm !== undefined) {
      const end = async () => {
        await this.#options.logs.keep(vm)
        await vm.stop()
      }
      const isKept = (await hasFailureIn(lease.fates)) && this.#options.keep?.(vm, end)
      if (!isKept) await end()
    }
    this.#leases.delete(lease)
    this.#resizeSpares(lease.index)
  }

  #resizeSpares(index: number): void {
    this.#spares.get(index)?.resize(this.#usableSpares(index))
  }
}
