import type { KernelLogRecord } from '../kernel-log/index.ts'
import { orAborted } from '../lifetime/index.ts'

/** What is sent in less than this is one batch more: so a guest that says a lot is heard 50 times a second, and no oftener. */
const BETWEEN_BATCHES_MS = 20
/** A kernel that says more than this while it is asked goes on saying it. */
const MOST_BATCHES_A_QUESTION = 500
/** One may be on its way when a guest is restored. */
const MOST_UNASKED = 10

/** Lines of a guest's kernel, and what is missing before them. */
export interface KernelLogBatch {
  readonly records: readonly KernelLogRecord[]
  /** Sequence number of the last record that was read, told or not. */
  readonly through: number
  /** Records that the kernel wrote over before they were read. */
  readonly overwritten: number
  /** Lines that the guest's agent left out because there were too many of them; none that may be part of a report. */
  readonly leftOut: number
  /** Whether there is more to read. */
  readonly more: boolean
}

interface Question {
  readonly number: number
  readonly resolve: (batch: KernelLogBatch) => void
}

/**
 * The log of the guest's kernel, over the control port. Nothing comes that was not asked for, which bounds what a guest can make us read:
 * one batch at a time, and the next when that one was taken.
 */
export class KernelLogPort {
  readonly #send: (line: string) => void
  readonly #questions = new Set<Question>()
  #onBatch: (batch: KernelLogBatch) => void = () => {}
  #asked = 0
  #unasked = 0
  #isAwaited = false
  #timer: NodeJS.Timeout | undefined

  /** @param send writes a line to the guest's agent */
  constructor(send: (line: string) => void) {
    this.#send = send
  }

  /**
   * Hears of all that the kernel says from now on, as it comes.
   * @param from `boot`: from its first line on; `now`: a restored guest said the rest in another life
   */
  follow(from: 'boot' | 'now', onBatch: (batch: KernelLogBatch) => void): void {
    this.#onBatch = onBatch
    if (from === 'now') this.#send('kernel-log from-now\n')
    this.#await()
  }

  /** Resolves when all that is in the log at this moment was told. @throws the signal's reason */
  async drain(onBatch: (batch: KernelLogBatch) => void, signal: AbortSignal): Promise<void> {
    this.#onBatch = onBatch
    for (let batches = 0; batches < MOST_BATCHES_A_QUESTION; batches++) {
      const { more } = await this.#ask(signal)
      if (!more) return
    }
  }

  /** Takes what the guest sent. @throws when that is none of what it was asked for */
  take(message: string): void {
    const [number, batch] = parseBatch(message)
    if (number === 0 && this.#isAwaited) {
      this.#isAwaited = false
      this.#onBatch(batch)
      this.#timer = setTimeout(() => this.#await(), BETWEEN_BATCHES_MS).unref()
      return
    }
    const question = [...this.#questions].find((one) => one.number === number)
    if (question === undefined) {
      if (++this.#unasked > MOST_UNASKED) throw new Error("more of its kernel's log than it was asked for")
      return
    }
    this.#questions.delete(question)
    this.#onBatch(batch)
    question.resolve(batch)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #await(): void {
    this.#isAwaited = true
    this.#send('kernel-log wait\n')
  }

  async #ask(signal: AbortSignal): Promise<KernelLogBatch> {
    const number = ++this.#asked
    const answered = new Promise<KernelLogBatch>((resolve) => this.#questions.add({ number, resolve }))
    this.#send(`kernel-log ask ${number}\n`)
    return await orAborted(answered, signal)
  }
}

/** The agent sends no more of a line, and what is looked for in one is looked for with patterns. */
const LONGEST_TEXT = 1_024

/** As images/guest/agent/kernel-log.c writes it. @throws for anything else */
export function parseBatch(message: string): [question: number, batch: KernelLogBatch] {
  const [head = '', ...lines] = message.split('\n')
  const numbers = /^(\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,15}) ([01])$/.exec(head)?.slice(1).map(Number)
  if (numbers === undefined) throw new Error("a batch of its kernel's log without a head")
  const [question = 0, through = 0, overwritten = 0, leftOut = 0, more] = numbers
  const records = lines.flatMap((line) => {
    const [, level, sequence, uptimeUs, text] = /^([0-7]) (\d{1,15}) (\d{1,15}) (.*)$/.exec(line) ?? []
    if (text === undefined) return []
    const record = { level: Number(level), sequence: Number(sequence), uptimeUs: Number(uptimeUs) }
    return [{ ...record, text: text.slice(0, LONGEST_TEXT) }]
  })
  return [question, { records, through, overwritten, leftOut, more: more === 1 }]
}
