import { rmSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { NamedKernelOptions } from '../options/index.ts'
import type { VmSource } from '../worker/index.ts'
import type { ProjectWants } from './session.ts'

/** What a project wants of VMs, as plain data, which can go to a thread. */
export type RowsWanted = Omit<ProjectWants, 'entries'> & { readonly rows: readonly NamedKernelOptions[] }

export type ThreadRequest =
  | ({ readonly kind: 'lease'; readonly id: number } & RowsWanted)
  | { readonly kind: 'release'; readonly id: number }

export type ThreadReply =
  | { readonly kind: 'line'; readonly line: string }
  | Leased
  | { readonly kind: 'failed'; readonly id: number }
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
  /** Whether one of them did not start. */
  readonly failed: boolean
  release(): Promise<void>
}

/**
 * A test session in a thread of its own. For test runners that run tests in their own process: a test that waits for the docker command
 * line without letting go of its thread would wait forever, if that thread also had to pass on what the command says to the VM.
 * The thread goes with the process, and so do the VMs.
 */
export class SessionThread {
  readonly #write: (line: string) => void
  readonly #waiting = new Map<string, Waiting>()
  readonly #failed = new Set<number>()
  readonly #leases = new Set<number>()
  #thread: Worker | undefined
  #remove = () => {}
  #count = 0

  /** @param write takes a line for people */
  constructor(write: (line: string) => void) {
    this.#write = write
  }

  /** Starts the VMs, or shares those that run, and does not wait for them. */
  async lease(wanted: RowsWanted): Promise<ThreadLease> {
    const id = this.#count++
    this.#leases.add(id)
    const { sources, directory } = (await this.#ask({ kind: 'lease', id, ...wanted }, `leased ${id}`)) as Leased
    this.#removeWithProcess(directory)
    const failed = this.#failed
    let released: Promise<void> | undefined
    return {
      sources,
      get failed() {
        return failed.has(id)
      },
      release: () => {
        released ??= this.#release(id)
        return released
      },
    }
  }

  async #release(id: number): Promise<void> {
    await this.#ask({ kind: 'release', id }, `released ${id}`)
    this.#leases.delete(id)
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

  async #ask(request: ThreadRequest, answer: string): Promise<ThreadReply> {
    this.#thread ??= this.#start()
    this.#thread.ref()
    this.#thread.postMessage(request)
    return await new Promise((resolve, reject) => this.#waiting.set(answer, { resolve, reject }))
  }

  #start(): Worker {
    const thread = new Worker(new URL('./session-thread-main.js', import.meta.url))
    thread.on('message', (reply: ThreadReply) => this.#take(reply))
    thread.on('error', (cause) => {
      for (const { reject } of this.#waiting.values()) reject(cause)
      this.#waiting.clear()
    })
    return thread
  }

  #take(reply: ThreadReply): void {
    if (reply.kind === 'line') this.#write(reply.line)
    else if (reply.kind === 'failed') this.#failed.add(reply.id)
    else this.#answer(reply)
  }

  #answer(reply: ThreadReply & { readonly id: number }): void {
    const answer = `${reply.kind} ${reply.id}`
    this.#waiting.get(answer)?.resolve(reply)
    this.#waiting.delete(answer)
    // Only who waits for it keeps the process alive.
    if (this.#waiting.size === 0) this.#thread?.unref()
  }
}
