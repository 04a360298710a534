import { EventEmitter } from 'node:events'
import type { SolveStatus, SolveVertex } from '../progress/status.ts'
import type { Terminal } from '../progress/tty-frame.ts'

export function statusOf(parts: Partial<SolveStatus>): SolveStatus {
  return { vertexes: [], statuses: [], logs: [], warnings: [], ...parts }
}

interface Moments extends Pick<Partial<SolveVertex>, 'cached' | 'error'> {
  /** Seconds. */
  readonly started?: number
  readonly completed?: number
}

/** What an engine tells of a vertex, whose name serves as its digest here. */
export function vertexOf(name: string, { started, completed, cached = false, error }: Moments): SolveStatus {
  const vertex: SolveVertex = {
    digest: name,
    inputs: [],
    name,
    cached,
    error,
    startedAtMs: started === undefined ? undefined : started * 1000,
    completedAtMs: completed === undefined ? undefined : completed * 1000,
  }
  return statusOf({ vertexes: [vertex] })
}

export function logOf(vertex: string, text: string, atSecond: number): SolveStatus {
  return statusOf({ logs: [{ vertex, stream: 'stdout', data: Buffer.from(text), timestampMs: atSecond * 1000 }] })
}

/** A terminal that understands what our display sends, and no more: anything else fails the test. */
export class Screen extends EventEmitter implements Terminal {
  columns: number
  rows: number
  cursor: 'shown' | 'hidden' = 'shown'
  /** Rows from the first to the last written, those that scrolled away included. */
  #lines: string[][] = [[]]
  #row = 0
  #column = 0
  #isWrapping = true

  constructor({ columns, rows }: { columns: number; rows: number }) {
    super()
    this.columns = columns
    this.rows = rows
  }

  /** What has been written, without colors. */
  get text(): string {
    return this.#lines
      .map((line) =>
        Array.from(line, (character) => character ?? ' ')
          .join('')
          .trimEnd(),
      )
      .join('\n')
  }

  resize(size: { columns: number; rows: number }): void {
    Object.assign(this, size)
    const lines = this.#lines.flatMap((line) =>
      Array.from({ length: Math.max(1, Math.ceil(line.length / this.columns)) }, (_, part) =>
        line.slice(part * this.columns, (part + 1) * this.columns),
      ),
    )
    this.#lines = lines
    this.#row = lines.length - 1
    this.emit('resize')
  }

  write(text: string): void {
    for (const [part, code] of text.matchAll(/\p{Cc}\[([?\d]*[A-Za-z])|[\s\S]/gu)) {
      if (code !== undefined) this.#control(code)
      else if (part === '\n') this.#newLine()
      else if (part === '\r') this.#column = 0
      else this.#put(part)
    }
  }

  #control(code: string): void {
    const up = /^(\d+)A$/.exec(code)?.[1]
    if (up !== undefined) {
      // No terminal goes up further than to its first row.
      this.#row = Math.max(this.#row - Number(up), this.#lines.length - this.rows, 0)
    } else if (code === '2K') this.#lines[this.#row] = []
    else if (code === 'J') {
      this.#lines.splice(this.#row + 1)
      this.#lines[this.#row]?.splice(this.#column)
    } else if (code === '?25l') this.cursor = 'hidden'
    else if (code === '?25h') this.cursor = 'shown'
    else if (code === '?7l') this.#isWrapping = false
    else if (code === '?7h') this.#isWrapping = true
    else if (!code.endsWith('m')) throw new Error(`this screen does not know ${JSON.stringify(code)}`)
  }

  #put(character: string): void {
    if (this.#column >= this.columns) {
      if (!this.#isWrapping) return
      this.#newLine()
    }
    const line = this.#lines[this.#row]
    if (line !== undefined) line[this.#column] = character
    this.#column += 1
  }

  #newLine(): void {
    this.#row += 1
    this.#column = 0
    this.#lines[this.#row] ??= []
  }
}
