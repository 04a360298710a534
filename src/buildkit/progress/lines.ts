import { LineSplitter } from '../../log/index.ts'
import type { VertexLog } from './status.ts'

/** Makes lines of output that arrives cut anywhere, within a line or a character, as a terminal would show them. */
export class TerminalLines {
  readonly #decoder = new TextDecoder()
  readonly #lines = new LineSplitter()

  /** The lines that `data` completes, without their ends. */
  push(data: Uint8Array): string[] {
    const lines = this.#lines.push(this.#decoder.decode(data, { stream: true }))
    // A bar that is drawn over and over may never end its line: only its last state is kept.
    const rest = this.#lines.flush()
    this.#lines.push(`${afterReturn(rest)}${rest.endsWith('\r') ? '\r' : ''}`)
    return lines.map(afterReturn)
  }

  /** The last line so far, while it has no end. */
  get rest(): string {
    return afterReturn(this.#lines.rest)
  }
}

/** What a terminal would show of a line that programs wrote over with carriage returns. */
function afterReturn(line: string): string {
  const trimmed = line.replace(/\r+$/, '')
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1)
}

/** The last lines of a step. Its two streams come in chunks of their own, so an unfinished line waits for its own stream. */
export class LogTail {
  readonly #splitters = { stdout: new TerminalLines(), stderr: new TerminalLines() }
  readonly #lines: string[] = []
  readonly #maxLines: number

  constructor(maxLines: number) {
    this.#maxLines = maxLines
  }

  push({ stream, data }: Pick<VertexLog, 'stream' | 'data'>): void {
    this.#lines.push(...this.#splitters[stream].push(data))
    this.#lines.splice(0, this.#lines.length - this.#maxLines)
  }

  get lines(): string[] {
    const { stdout, stderr } = this.#splitters
    const unfinished = [stdout.rest, stderr.rest].filter((rest) => rest !== '')
    return [...this.#lines, ...unfinished].slice(-this.#maxLines)
  }
}
