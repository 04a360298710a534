import { stripVTControlCharacters } from 'node:util'
import { LineSplitter } from '../../log/index.ts'
import type { VertexLog, VertexStatus } from './status.ts'

/** `0.3s`, `12.0s`, `61.4s`: as BuildKit prints times. */
export function formatSeconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB']

/** `812B`, `3.42MB`: decimal units, as BuildKit prints sizes. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(2)}${units[unit]}`
}

/** `3.42MB / 10.00MB`, `3.42MB`, or nothing where nothing is counted. */
export function formatAmount({ current, total }: Pick<VertexStatus, 'current' | 'total'>): string {
  if (total > 0) return `${formatBytes(current)} / ${formatBytes(total)}`
  return current > 0 ? formatBytes(current) : ''
}

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

const TAB = '    '

/** Output of a program as text that moves no cursor and sets no color. */
export function printable(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll('\t', TAB)
    .replaceAll(/\p{Cc}/gu, '')
}

/** No more than `width` characters. */
export function cut(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`
}

/** `left` and `right` at the two ends of a line; `left` gives way. */
export function spread(left: string, right: string, width: number): string {
  const shown = cut(left, width - right.length - 1)
  return `${shown}${' '.repeat(Math.max(1, width - [...shown].length - right.length))}${right}`
}
