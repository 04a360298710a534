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
/** Of all kept lines together. */
const KEPT_CHARACTERS = 4 * 1024 * 1024

/** The writing side of a LineStream. */
export class LineBuffer implements LineStream {
  #kept: string[] = []
  #keptCharacters = 0
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
    this.#take(this.#lines.push(chunk))
  }

  end(): void {
    if (this.#ended) return
    if (this.#lines.rest !== '') this.#take([this.#lines.flush()])
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

  #take(lines: readonly string[]): void {
    if (lines.length === 0) return
    for (const line of lines) {
      const kept = line.endsWith('\r') ? line.slice(0, -1) : line
      this.#kept.push(kept)
      this.#keptCharacters += kept.length
    }
    this.#dropSurplus()
    this.#wakeReaders()
  }

  #dropSurplus(): void {
    let surplus = 0
    while (this.#kept.length - surplus > KEPT_LINES || this.#keptCharacters > KEPT_CHARACTERS) {
      this.#keptCharacters -= this.#kept[surplus]?.length ?? 0
      surplus += 1
    }
    if (surplus === 0) return
    this.#kept = this.#kept.slice(surplus)
    this.#dropped += surplus
  }

  #wakeReaders(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** Header of a frame in the engine's attach stream: kind of stream, three zeros, length of the payload. */
const HEADER_BYTES = 8
const STDERR = 2

export interface Outputs {
  readonly stdout: (chunk: Buffer) => void
  readonly stderr: (chunk: Buffer) => void
}

export interface FrameTaker {
  /** @returns how many bytes follow the head */
  readonly begin: (head: Buffer) => number
  readonly take: (piece: Buffer) => void
}

/** Reads a stream of frames, of which each has a head of so many bytes: what is in them is given in pieces, as they come, and none is kept. */
export function readFrames(headBytes: number, { begin, take }: FrameTaker): (chunk: Buffer) => void {
  const head = Buffer.alloc(headBytes)
  let taken = 0
  let left = 0
  return (chunk) => {
    for (let offset = 0; offset < chunk.length; ) {
      if (taken < headBytes) {
        const copied = chunk.copy(head, taken, offset, offset + headBytes - taken)
        taken += copied
        offset += copied
        if (taken < headBytes) return
        left = begin(head)
      }
      const piece = chunk.subarray(offset, offset + left)
      if (piece.length > 0) take(piece)
      offset += piece.length
      left -= piece.length
      if (left === 0) taken = 0
    }
  }
}

/**
 * Takes the chunks of an attach stream and gives the payloads to stdout and stderr, in pieces as they come: a frame may say that it has
 * four gigabytes, and none of them is kept. docker-modem's own demuxStream recurses once for each frame and overflows the stack on a
 * chunk of many small frames, which is what a serial console writes.
 */
export function createDemultiplexer({ stdout, stderr }: Outputs): (chunk: Buffer) => void {
  let take = stdout
  return readFrames(HEADER_BYTES, {
    begin: (head) => {
      take = head[0] === STDERR ? stderr : stdout
      return head.readUInt32BE(4)
    },
    take: (piece) => take(piece),
  })
}
