import { StringDecoder } from 'node:string_decoder'
import { LineSplitter } from '../log/index.ts'

/**
 * The lines of a container's output. It is always drained, so that a container never blocks on output that nobody reads;
 * the newest lines are kept. Any number of readers may iterate: each gets the kept lines first, then those to come.
 */
export interface LineStream extends AsyncIterable<string> {
  /** The newest lines, oldest first. */
  readonly kept: readonly string[]
  /** The last `lines` of them as one text. */
  tail(lines?: number): string
}

const KEPT_LINES = 1_000
/** A line that never ends must not grow for ever. */
const LONGEST_LINE = 64 * 1024

/** The writing side of a LineStream. */
export class LineBuffer implements LineStream {
  readonly #decoder = new StringDecoder('utf8')
  #kept: string[] = []
  /** Number of lines that were kept once and are no more. */
  #dropped = 0
  readonly #lines = new LineSplitter()
  #ended = false
  #waiting: (() => void)[] = []

  get kept(): readonly string[] {
    return this.#kept
  }

  tail(lines = 20): string {
    return [...this.#kept, ...(this.#lines.rest === '' ? [] : [this.#lines.rest])].slice(-lines).join('\n')
  }

  write(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk))
  }

  end(): void {
    if (this.#ended) return
    this.#take(this.#decoder.end())
    if (this.#lines.rest !== '') this.#take('\n')
    this.#ended = true
    this.#wakeReaders()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    let next = this.#dropped
    while (true) {
      next = Math.max(next, this.#dropped)
      for (let line = this.#kept[next - this.#dropped]; line !== undefined; line = this.#kept[next - this.#dropped]) {
        next += 1
        yield line
        next = Math.max(next, this.#dropped)
      }
      if (this.#ended) return
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #take(text: string): void {
    const lines = this.#lines.push(text)
    if (this.#lines.rest.length > LONGEST_LINE) lines.push(this.#lines.flush())
    if (lines.length === 0) return
    this.#kept.push(...lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)))
    const surplus = this.#kept.length - KEPT_LINES
    if (surplus > 0) {
      this.#kept = this.#kept.slice(surplus)
      this.#dropped += surplus
    }
    this.#wakeReaders()
  }

  #wakeReaders(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
