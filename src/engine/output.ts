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

/** The lines of a stream of UTF-8 text; an unfinished last one counts. The stream's failure is thrown. */
export async function* readLines(stream: AsyncIterable<Buffer | string>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  const lines = new LineSplitter()
  for await (const chunk of stream) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    for (const line of lines.push(text)) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  lines.push(decoder.decode())
  if (lines.rest !== '') yield lines.rest
}

/** Header of a frame in the engine's attach stream: kind of stream, three zeros, length of the payload. */
const HEADER_BYTES = 8
const STDERR = 2

export interface Outputs {
  readonly stdout: (chunk: Buffer) => void
  readonly stderr: (chunk: Buffer) => void
}

/**
 * Takes the chunks of an attach stream and gives the payloads to stdout and stderr. docker-modem's own demuxStream recurses
 * once for each frame and overflows the stack on a chunk of many small frames, which is what a serial console writes.
 */
export function createDemultiplexer(outputs: Outputs): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0)
  return (chunk) => {
    const data = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    let offset = 0
    while (data.length - offset >= HEADER_BYTES) {
      const end = offset + HEADER_BYTES + data.readUInt32BE(offset + 4)
      if (end > data.length) break
      const output = data[offset] === STDERR ? outputs.stderr : outputs.stdout
      output(data.subarray(offset + HEADER_BYTES, end))
      offset = end
    }
    pending = data.subarray(offset)
  }
}
