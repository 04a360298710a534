import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** Longer than any line that somebody means, in UTF-16 code units. */
export const LONGEST_LINE = 64 * 1024
/** Stands at the end of a line that was cut. */
export const CUT_MARK = ' [cut: too long a line]'

/** A line is longer than its protocol has any. */
export class LineTooLongError extends Error {
  constructor(longest: number) {
    super(`a line of more than ${longest} characters`)
  }
}

export interface LineLimit {
  /** Longest line, in UTF-16 code units. @default 65,536 */
  readonly longest?: number
  /** What becomes of a longer one: it is cut and marked, or `push` throws a LineTooLongError. @default 'cut' */
  readonly overlong?: 'cut' | 'throw'
}

/**
 * Makes lines of UTF-8 that arrives cut anywhere. The one place where text of others becomes lines: however much of it comes
 * without an end, no more than one line's length is kept.
 */
export class LineSplitter {
  readonly #longest: number
  readonly #overlong: 'cut' | 'throw'
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''
  #isCut = false

  constructor({ longest = LONGEST_LINE, overlong = 'cut' }: LineLimit = {}) {
    this.#longest = longest
    this.#overlong = overlong
  }

  /** The lines that the piece completes, without their ends (`\n`; a `\r` before it stays). @throws LineTooLongError */
  push(piece: string | Uint8Array): string[] {
    const text = typeof piece === 'string' ? piece : this.#decoder.write(piece as Buffer)
    const lines: string[] = []
    let from = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#add(text, from, end)
      lines.push(this.flush())
      from = end + 1
    }
    this.#add(text, from, text.length)
    return lines
  }

  /** What has no end yet. */
  get rest(): string {
    return this.#isCut ? this.#rest + CUT_MARK : this.#rest
  }

  /** Takes what has no end yet away, as a line. */
  flush(): string {
    const { rest } = this
    this.#rest = ''
    this.#isCut = false
    return rest
  }

  #add(text: string, from: number, to: number): void {
    const room = this.#longest - this.#rest.length
    if (to - from > room) {
      if (this.#overlong === 'throw') throw new LineTooLongError(this.#longest)
      this.#isCut = true
    }
    this.#rest += text.slice(from, Math.min(to, from + room))
  }
}

/** The lines of a stream, without `\n` or `\r\n`; an unfinished last one counts. @throws LineTooLongError; the stream's failure */
export async function* readLines(
  stream: AsyncIterable<Uint8Array | string>,
  limit: LineLimit = {},
): AsyncGenerator<string, void> {
  const lines = new LineSplitter(limit)
  for await (const piece of stream) for (const line of lines.push(piece)) yield withoutReturn(line)
  if (lines.rest !== '') yield withoutReturn(lines.flush())
}

export interface LineListener {
  /** Takes each line, without its end. What it throws fails the stream. */
  readonly onLine: (line: string) => void
  /** What the stream failed with, or `onLine`, or a line that was too long. The stream is destroyed; no line comes after it. */
  readonly onFailure: (reason: unknown) => void
  /** There will be no more lines, and none failed: the other side has ended, which need not close a stream that has two directions. */
  readonly onEnd?: () => void
  /** What becomes of a last line without an end. @default 'drop': half of it may be missing */
  readonly unfinished?: 'drop' | 'take'
}

/**
 * Listens to the lines of a stream. Nothing that comes from it throws out of a listener, which would be the end of this process: it
 * ends the stream, and `onFailure` is told why.
 */
export function followLines(
  stream: Readable,
  { onLine, onFailure, onEnd = () => {}, unfinished = 'drop' }: LineListener,
  limit: LineLimit = {},
): void {
  const lines = new LineSplitter(limit)
  let isOver = false
  const fail = (reason: unknown) => {
    if (isOver) return
    isOver = true
    stream.destroy()
    onFailure(reason)
  }
  const take = (complete: readonly string[]) => {
    for (const line of complete) if (!isOver) onLine(withoutReturn(line))
  }
  const guarded = (work: () => void) => {
    try {
      if (!isOver) work()
    } catch (thrown) {
      fail(thrown)
    }
  }
  const end = () =>
    guarded(() => {
      if (unfinished === 'take' && lines.rest !== '') take([lines.flush()])
      isOver = true
      onEnd()
    })
  stream.on('error', fail)
  stream.on('data', (piece: Uint8Array | string) => guarded(() => take(lines.push(piece))))
  stream.once('end', end)
  stream.once('close', end)
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}

export interface TextLimit {
  readonly maxBytes: number
  /** Makes the error for more than that. @default one that says so */
  readonly tooLong?: () => Error
}

/** All of a stream as text, of which no more than `maxBytes` are ever kept. @throws what `tooLong` makes; the stream's failure */
export async function readText(
  stream: Readable,
  { maxBytes, tooLong = () => new Error(`more than ${maxBytes} bytes`) }: TextLimit,
): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    bytes += Buffer.byteLength(piece)
    if (bytes > maxBytes) throw tooLong()
    pieces.push(Buffer.from(piece as Uint8Array))
  }
  return Buffer.concat(pieces).toString()
}
