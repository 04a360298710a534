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
  /** The tests of the file are over. `looks`: the kernel may look for what it has lost, where it is to. */
  | { readonly do: 'finish'; readonly id: number; readonly looks: boolean }

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

/** In a row of such tests somebody is asked each time so much has passed: what one of them has set off is named after none that begins later. */
const LONGEST_ROW_MS = 20
/** Of the time of a row, what may be spent on that: a guest that is slow to answer is asked less often. */
const SHARE_OF_ASKING = 1 / 20

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
  readonly #finishing = new Set<number>()
  #isCalledOff = false
  #count = 0
  /** Until then the kernel can have said nothing that is not known, but for what tests that were over at once have set off. */
  #quietMs = Number.NEGATIVE_INFINITY
  /** When the kernel was last asked, and how long a row of tests may be from then on. */
  #askedMs = Number.NEGATIVE_INFINITY
  #rowMs = LONGEST_ROW_MS

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
    const nowMs = this.#nowMs()
    if (nowMs - this.#quietMs > SHORTEST_MS || nowMs - this.#askedMs > this.#rowMs) await this.#settle()
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
        if (settle) this.#askedMs = this.#quietMs
        return this.#heard(told ?? NOTHING)
      },
      leave: () => this.#send({ do: 'end', test, settle: false }),
    }
  }

  /** What the kernel reported while no test ran; the reports are all of its VM. Nothing of one that is called off. */
  async finish(): Promise<Heard> {
    const id = ++this.#count
    this.#finishing.add(id)
    const told = await this.#ask(id, { do: 'finish', id, looks: !this.#isCalledOff })
    this.#finishing.delete(id)
    return this.#heard(told)
  }

  /** The run is not wanted any more: nobody waits for a kernel that looks for what it has lost, which takes half a minute. */
  callOff(): void {
    this.#isCalledOff = true
    for (const id of this.#finishing) this.#tell(id, NOTHING)
  }

  #heard({ failures, reports }: Told): Heard {
    return { errors: failures.map(this.#toError), reports }
  }

  close(): void {
    this.#socket.destroy()
  }

  async #settle(): Promise<void> {
    const id = ++this.#count
    const beganMs = this.#nowMs()
    await this.#ask(id, { do: 'settle', id })
    this.#quietMs = this.#nowMs()
    this.#askedMs = this.#quietMs
    this.#rowMs = Math.max(LONGEST_ROW_MS, (this.#askedMs - beganMs) / SHARE_OF_ASKING)
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
    this.#tell(id, told)
  }

  #tell(id: number, told: Told): void {
    this.#waiting.get(id)?.(told)
    this.#waiting.delete(id)
  }

  #lose(): void {
    for (const resolve of this.#waiting.values()) resolve(NOTHING)
    this.#waiting.clear()
  }
}
