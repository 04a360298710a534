import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import type { NamedKernelOptions } from '../options/index.ts'
import type { VmSource } from '../worker/index.ts'
import { failAll } from './fates.ts'
import type { ProjectWants } from './session.ts'

/** A thread hears of none. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What had the VMs is no more, and so are they. */
export class VmsLostError extends TestkernelsError {
  readonly code = 'VMS_LOST'
}

/** What a project wants of VMs, as plain data, which can go to a thread. */
export type RowsWanted = Omit<ProjectWants, 'entries'> & { readonly rows: readonly NamedKernelOptions[] }

export type ThreadRequest =
  | ({ readonly kind: 'lease'; readonly id: number } & RowsWanted)
  | { readonly kind: 'release'; readonly id: number }

/** Not answered: VMs that are kept for people are not wanted any more. */
export interface LetGo {
  readonly kind: 'let go'
}

export type ThreadReply =
  | { readonly kind: 'line'; readonly line: string }
  | Leased
  | { readonly kind: 'failed'; readonly id: number }
  /** The answer to a request that could not be done. */
  | { readonly kind: 'refused'; readonly id: number; readonly message: string }
  | { readonly kind: 'released'; readonly id: number }

interface Leased {
  readonly kind: 'leased'
  readonly id: number
  readonly sources: readonly VmSource[]
  /** With all that the sources name. */
  readonly directory: string
}

interface Waiting {
  readonly resolve: (reply: ThreadReply) => void
  readonly reject: (cause: unknown) => void
}

/** VMs that are leased from the thread. */
export interface ThreadLease {
  /** Where workers hear of them. */
  readonly sources: readonly VmSource[]
  /** For what only workers of this process may open; it goes with the last lease. */
  readonly directory: string
  /** Whether one of them did not start. */
  readonly failed: boolean
  /** The last one of all waits until no VM is kept any more; a signal that would end this process has them let go, and the second one ends it. */
  release(): Promise<void>
}

/**
 * A test session in a thread of its own. For test runners that run tests in their own process: a test that waits for the docker command
 * line without letting go of its thread would wait forever, if that thread also had to pass on what the command says to the VM.
 * The thread goes with the process, and so do the VMs.
 */
export class SessionThread {
  readonly #write: (line: string) => void
  readonly #module: URL
  /** By the id of the lease: what is asked of one waits for what was asked before. */
  readonly #waiting = new Map<number, Waiting>()
  readonly #failed = new Set<number>()
  readonly #leases = new Set<number>()
  #thread: Worker | undefined
  #directory: string | undefined
  #remove = () => {}
  #count = 0

  /** @param write takes a line for people */
  constructor(write: (line: string) => void, module = new URL('./session-thread-main.js', import.meta.url)) {
    this.#write = write
    this.#module = module
  }

  /** Starts the VMs, or shares those that run, and does not wait for them. */
  async lease(wanted: RowsWanted): Promise<ThreadLease> {
    const id = this.#count++
    this.#leases.add(id)
    const { sources, directory } = (await this.#ask({ kind: 'lease', id, ...wanted }).catch((thrown) => {
      this.#leases.delete(id)
      throw thrown
    })) as Leased
    this.#directory = directory
    this.#removeWithProcess(directory)
    const failed = this.#failed
    let released: Promise<void> | undefined
    return {
      sources,
      directory,
      get failed() {
        return failed.has(id)
      },
      release: () => {
        released ??= this.#release(id, wanted)
        return released
      },
    }
  }

  async #release(id: number, { keepOnFailure }: RowsWanted): Promise<void> {
    // Those of a thread that died went with it.
    if (!this.#leases.has(id)) return
    const letGo = () => this.#thread?.postMessage({ kind: 'let go' } satisfies LetGo)
    const signals = keepOnFailure === false ? [] : ENDING_SIGNALS
    for (const signal of signals) process.once(signal, letGo)
    await this.#ask({ kind: 'release', id }).finally(() => {
      for (const signal of signals) process.off(signal, letGo)
      this.#leases.delete(id)
    })
    if (this.#leases.size > 0) return
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
    this.#remove()
    process.off('exit', this.#remove)
    this.#remove = () => {}
  }

  /** A thread has no last word when its process exits. */
  #removeWithProcess(directory: string): void {
    process.off('exit', this.#remove)
    this.#remove = () => rmSync(directory, { recursive: true, force: true })
    process.once('exit', this.#remove)
  }

  async #ask(request: ThreadRequest): Promise<ThreadReply> {
    this.#thread ??= this.#start()
    this.#thread.ref()
    this.#thread.postMessage(request)
    return await new Promise((resolve, reject) => this.#waiting.set(request.id, { resolve, reject }))
  }

  #start(): Worker {
    const thread = new Worker(this.#module)
    thread.on('message', (reply: ThreadReply) => this.#take(reply))
    thread.on('error', (cause) => this.#lose(thread, cause))
    thread.on('exit', (status) => this.#lose(thread, new Error(`it ended with status ${status}`)))
    return thread
  }

  /** A thread that ends by itself takes its VMs along: whoever waits hears of it, and so do the workers. The next lease is another one's. */
  #lose(thread: Worker, cause: unknown): void {
    if (thread !== this.#thread) return
    this.#thread = undefined
    const lost = new VmsLostError({
      what: 'the thread that has the VMs ended',
      cause,
      remedy: 'run the tests again, with TESTKERNELS_DEBUG=1 if it stays so',
    })
    for (const id of this.#leases) this.#failed.add(id)
    this.#leases.clear()
    for (const { reject } of this.#waiting.values()) reject(lost)
    this.#waiting.clear()
    this.#write(`testkernels ${reasonOf(lost)}`)
    if (this.#directory !== undefined) failAll(this.#directory, lost)
  }

  #take(reply: ThreadReply): void {
    if (reply.kind === 'line') this.#write(reply.line)
    else if (reply.kind === 'failed') this.#failed.add(reply.id)
    else this.#answer(reply)
  }

  #answer(reply: Exclude<ThreadReply, { kind: 'line' }>): void {
    const waiting = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (reply.kind === 'refused') waiting?.reject(new Error(reply.message))
    else waiting?.resolve(reply)
    // Only who waits for it keeps the process alive.
    if (this.#waiting.size === 0) this.#thread?.unref()
  }
}
