import { connect, type Socket } from 'node:net'
import { followLines } from '../log/index.ts'
import type { VmKernelReport } from '../vm/index.ts'
import type { Failure } from './fate.ts'

/**
 * What a worker tells of its tests to the process that has the VM, in lines of JSON. `end` and `finish` are answered with what the kernel
 * reported meanwhile, `settle` when all is known that it said until then.
 */
export type WatchRequest =
  | { readonly do: 'begin'; readonly test: number; readonly name: string }
  /** `settle`: what the kernel said during the test may still be on its way. */
  | { readonly do: 'end'; readonly test: number; readonly settle: boolean }
  | { readonly do: 'settle'; readonly id: number }
  /** The tests of the file are over. */
  | { readonly do: 'finish'; readonly id: number }

export interface WatchReply {
  /** Of the test or of the question. */
  readonly id: number
  readonly failures: readonly Failure[]
  /** At the end of a test what came while it ran, failure or not; at the end of a file all of the VM. */
  readonly reports: readonly VmKernelReport[]
}

/** What a kernel reported while a test ran. */
export interface Heard {
  /** Why the test failed all the same. */
  readonly errors: readonly Error[]
  readonly reports: readonly VmKernelReport[]
}

type Told = Omit<WatchReply, 'id'>

const NOTHING: Told = { failures: [], reports: [] }

/** A VM has a hundred reports at the most, each of 32 Ki characters; in characters. */
const LONGEST_REPLY = 16 * 1024 * 1024

/**
 * In less time nobody has anything done by a kernel and hears that it is done: what a test that is over so soon has set off comes later.
 * So a test of nothing asks nobody.
 */
const SHORTEST_MS = 1

/**
 * Longer than the process that has the VM waits for its guest, for what its kernel has lost (vm/memory-leaks.ts), and for where in its source something
 * was (vm/kernel-reports.ts); one that is stopped does not answer.
 */
const ANSWER_DEADLINE_MS = 270_000

/** Of a test: more is no help in a message, and no line that the other side takes. In characters. */
const LONGEST_NAME = 1_000

/** Taken before any test puts another clock in its place. */
const performanceNow = performance.now.bind(performance)

export interface KernelWatchOptions {
  /** Longest wait for an answer, in milliseconds. @default 270_000 */
  readonly deadlineMs?: number
  /** Milliseconds of a clock that only goes forward. @default that of this process */
  readonly nowMs?: () => number
}

/** One test that runs. */
export interface WatchedTest {
  end(): Promise<Heard>
  /** It did not run after all. */
  leave(): void
}

/** Tells which tests run on a VM, and hears what its kernel reported while they did. */
export class KernelWatch {
  readonly #socket: Socket
  readonly #toError: (failure: Failure) => Error
  readonly #deadlineMs: number
  readonly #nowMs: () => number
  readonly #waiting = new Map<number, (reply: Told) => void>()
  #count = 0
  /** Until then the kernel can have said nothing that is not known. */
  #quietMs = Number.NEGATIVE_INFINITY

  /** @param path where the process that has the VM listens; no process stays alive for it */
  constructor(
    path: string,
    toError: (failure: Failure) => Error,
    { deadlineMs = ANSWER_DEADLINE_MS, nowMs = performanceNow }: KernelWatchOptions = {},
  ) {
    this.#toError = toError
    this.#deadlineMs = deadlineMs
    this.#nowMs = nowMs
    this.#socket = connect(path)
    const onEnd = () => this.#lose()
    // Node's own timer: tests may have replaced all that are JavaScript's.
    this.#socket.on('timeout', onEnd)
    const onLine = (line: string) => this.#take(line)
    followLines(this.#socket, { onLine, onFailure: onEnd, onEnd }, { longest: LONGEST_REPLY, overlong: 'throw' })
    this.#socket.unref()
  }

  /** What the kernel said before is not this test's. */
  async begin(name: string): Promise<WatchedTest> {
    if (this.#nowMs() - this.#quietMs > SHORTEST_MS) await this.#settle()
    const test = ++this.#count
    const beginMs = this.#nowMs()
    this.#send({ do: 'begin', test, name: name.slice(0, LONGEST_NAME) })
    return {
      end: async () => {
        const settle = this.#nowMs() - beginMs > SHORTEST_MS
        const told = settle
          ? await this.#ask(test, { do: 'end', test, settle })
          : this.#send({ do: 'end', test, settle })
        this.#quietMs = this.#nowMs()
        return this.#heard(told ?? NOTHING)
      },
      leave: () => this.#send({ do: 'end', test, settle: false }),
    }
  }

  /** What the kernel reported while no test ran; the reports are all of its VM. */
  async finish(): Promise<Heard> {
    const id = ++this.#count
    return this.#heard(await this.#ask(id, { do: 'finish', id }))
  }

  #heard({ failures, reports }: Told): Heard {
    return { errors: failures.map(this.#toError), reports }
  }

  close(): void {
    this.#socket.destroy()
  }

  async #settle(): Promise<void> {
    const id = ++this.#count
    await this.#ask(id, { do: 'settle', id })
    this.#quietMs = this.#nowMs()
  }

  #send(request: WatchRequest): undefined {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(request)}\n`)
  }

  /** Who waits keeps the process alive; where the other side is gone, the kernel has nothing to say. */
  async #ask(id: number, request: WatchRequest): Promise<Told> {
    if (!this.#socket.writable) return NOTHING
    this.#socket.ref()
    this.#socket.setTimeout(this.#deadlineMs)
    const answered = new Promise<Told>((resolve) => this.#waiting.set(id, resolve))
    this.#send(request)
    const told = await answered
    if (this.#waiting.size > 0) return told
    this.#socket.unref()
    this.#socket.setTimeout(0)
    return told
  }

  #take(line: string): void {
    const { id, ...told } = JSON.parse(line) as WatchReply
    this.#waiting.get(id)?.(told)
    this.#waiting.delete(id)
  }

  #lose(): void {
    for (const resolve of this.#waiting.values()) resolve(NOTHING)
    this.#waiting.clear()
  }
}
