import { connect, type Socket } from 'node:net'
import { TestkernelsError } from '../errors/index.ts'
import { followLines } from '../log/index.ts'
import type { RetryOn } from '../options/index.ts'
import {
  type Failure,
  FateWatch,
  type LeaseReply,
  type LeaseRequest,
  type LeaseServerSource,
  noteFailure,
  type ProvidedKernel,
  type RetryRequest,
  type VmFacts,
  type VmSource,
  withoutFrames,
} from './fate.ts'
import { KernelWatch } from './kernel-watch.ts'

/** The process that has the VMs leases none. */
export class VmNotLeasedError extends TestkernelsError {
  readonly code = 'VM_NOT_LEASED'
}

/** A VM that tests of this worker may use. What it is reached by stays; all else is of the VM that tests are on now. */
export interface LeasedVm {
  readonly name: string
  readonly kernel: ProvidedKernel
  /** What a report of the run tells of it. */
  readonly facts: VmFacts | undefined
  /** What its kernel reports; undefined where nobody cares. */
  readonly watch: KernelWatch | undefined
  /** Aborts when the VM is not there any more; its reason says why. */
  readonly gone: AbortSignal
  /** Which VM a test that failed is tried again on. */
  readonly retryOn: RetryOn
  /** Whether tests are on a fresh VM now. */
  readonly isFresh: boolean
  /** From now on tests are on a fresh VM, in place of the one before. @throws why there is none */
  renew(): Promise<void>
  /** From now on tests are on the VM again that they were on before; on the fresh one for good, where that has died. */
  goBack(): Promise<void>
  /** A test failed on the VM that tests are on at first: it may be kept, for people to look into. */
  noteFailure(): void
  /** It is not needed any more. */
  release(): void
}

export interface LeaseOptions {
  /** Tells the test runner's workers apart. */
  readonly worker: string
  /** Makes the error that the test runner prints best. */
  readonly toError?: (failure: Failure) => Error
}

/** Waits until each VM's dockerd answers, or once did. @throws why one does not, after which none is leased; VmNotLeasedError */
export async function leaseVms(sources: readonly VmSource[], options: LeaseOptions): Promise<readonly LeasedVm[]> {
  const leased = await Promise.allSettled(sources.map((source) => lease(source, options)))
  const failure = leased.find((one) => one.status === 'rejected')
  const vms = leased.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failure === undefined) return vms
  for (const vm of vms) vm.release()
  throw failure.reason
}

async function lease(source: VmSource, { worker, toError = withoutFrames }: LeaseOptions): Promise<LeasedVm> {
  if (source.kind === 'project') {
    const own = await followVm(source.fate, toError)
    return new Lease({ name: source.name, own, follow: (path) => followVm(path, toError) })
  }
  const server = new LeaseConnection(source)
  try {
    const own = await followVm(await server.ask({ index: source.index, worker }), toError)
    const { name, retryOn } = source
    return new Lease({ name, own, follow: (path) => followVm(path, toError), server, retryOn })
  } catch (thrown) {
    server.close()
    throw thrown
  }
}

/** A VM that a worker hears of. */
interface FollowedVm extends Pick<LeasedVm, 'kernel' | 'facts' | 'watch' | 'gone'> {
  /** Of its fate. */
  readonly path: string
  close(): void
}

async function followVm(path: string, toError: (failure: Failure) => Error): Promise<FollowedVm> {
  const fate = new FateWatch(path, toError)
  try {
    const kernel = await fate.ready()
    const watch = fate.reports === undefined ? undefined : new KernelWatch(fate.reports, toError)
    const close = () => {
      watch?.close()
      fate.close()
    }
    return { path, kernel, facts: fate.facts, watch, gone: fate.gone, close }
  } catch (thrown) {
    fate.close()
    throw thrown
  }
}

interface LeaseParts {
  readonly name: string
  readonly own: FollowedVm
  readonly follow: (path: string) => Promise<FollowedVm>
  /** Who leased it. @default it is the project's */
  readonly server?: LeaseConnection
  readonly retryOn?: RetryOn
}

class Lease implements LeasedVm {
  readonly name: string
  readonly kernel: ProvidedKernel
  readonly retryOn: RetryOn
  readonly #follow: LeaseParts['follow']
  readonly #server: LeaseConnection | undefined
  #own: FollowedVm
  #fresh: FollowedVm | undefined
  /** Whether a fresh VM was asked for, even if there is none. */
  #isAway = false

  constructor({ name, own, follow, server, retryOn = 'same-vm' }: LeaseParts) {
    this.name = name
    this.kernel = own.kernel
    this.retryOn = retryOn
    this.#follow = follow
    this.#server = server
    this.#own = own
  }

  get facts(): VmFacts | undefined {
    return this.#current.facts
  }

  get watch(): KernelWatch | undefined {
    return this.#current.watch
  }

  get gone(): AbortSignal {
    return this.#current.gone
  }

  get isFresh(): boolean {
    return this.#fresh !== undefined
  }

  get #current(): FollowedVm {
    return this.#fresh ?? this.#own
  }

  async renew(): Promise<void> {
    if (this.#server === undefined || this.retryOn === 'same-vm') return
    this.#leaveFresh()
    this.#isAway = true
    this.#fresh = await this.#follow(await this.#server.ask({ do: 'retry' }))
  }

  async goBack(): Promise<void> {
    if (this.#server === undefined || !this.#isAway) return
    const path = await this.#server.ask({ do: 'go back' })
    this.#isAway = false
    this.#leaveFresh()
    if (path === this.#own.path) return
    this.#own.close()
    this.#own = await this.#follow(path)
  }

  noteFailure(): void {
    noteFailure(this.#own.path)
  }

  release(): void {
    this.#leaveFresh()
    this.#own.close()
    this.#server?.close()
  }

  #leaveFresh(): void {
    this.#fresh?.close()
    this.#fresh = undefined
  }
}

/** A connection to a lease server. What it leased is leased as long as it is open. */
class LeaseConnection {
  readonly #socket: Socket
  readonly #entry: string
  #waiting: { readonly resolve: (line: string) => void; readonly reject: (cause: unknown) => void } | undefined

  constructor({ socket, name }: LeaseServerSource) {
    this.#entry = name
    this.#socket = connect(socket)
    const onFailure = (cause: unknown) => this.#waiting?.reject(cause)
    // For good: a connection that breaks when nothing is asked is no news, the VM's fate is.
    followLines(
      this.#socket,
      {
        onLine: (line) => this.#waiting?.resolve(line),
        onFailure,
        onEnd: () => onFailure(new Error('it closed the connection')),
      },
      { overlong: 'throw' },
    )
  }

  /** One at a time. @returns the path of the file that says what becomes of the VM @throws VmNotLeasedError */
  async ask(request: LeaseRequest | RetryRequest): Promise<string> {
    try {
      this.#socket.ref()
      const answered = new Promise<string>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        if (this.#socket.destroyed) reject(new Error('it closed the connection'))
      })
      this.#socket.write(`${JSON.stringify(request)}\n`)
      const { fate } = JSON.parse(await answered) as LeaseReply
      // A worker lives for the sake of its tests, and not of this connection.
      this.#socket.unref()
      return fate
    } catch (cause) {
      this.close()
      throw new VmNotLeasedError({
        what: 'the process that has the VMs leased none',
        entry: this.#entry,
        cause,
        remedy: 'see whether the test run was ended meanwhile',
      })
    } finally {
      this.#waiting = undefined
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}
