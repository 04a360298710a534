import { styleText } from 'node:util'
import type { CheckResult, Status } from './check.ts'

export interface ReportOptions {
  /** Of the terminal; lines are broken before it. */
  readonly columns: number
  readonly colors: 'on' | 'off'
}

const MARKS: Readonly<Record<Status, string>> = { ok: '✓', warning: '!', failure: '✗' }
const COLORS = { ok: 'green', warning: 'yellow', failure: 'red' } as const
/** Below it, lines would be of a word each. */
const LEAST_TEXT_COLUMNS = 30
const INDENT = 4
const GAP = 2

/** What a doctor says, for people, as it comes: group by group, and what to do right below what is wrong. */
export class Report {
  readonly #options: ReportOptions
  readonly #titleColumns: number
  readonly #counts = { ok: 0, warning: 0, failure: 0 }
  readonly #notLookedAt: string[] = []
  #group: string | undefined

  /** @param titles of all checks to come, so that what is said of them begins in one column */
  constructor(titles: readonly string[], options: ReportOptions) {
    this.#options = options
    this.#titleColumns = Math.max(...titles.map((title) => title.length))
  }

  /** The lines for one result, with those of its group's beginning. */
  add(result: CheckResult): string {
    const { title, group, looked, status, message, remedy } = result
    if (looked === 'not looked at') {
      this.#notLookedAt.push(title)
      return ''
    }
    this.#counts[status]++
    const heading =
      group === this.#group ? '' : `${this.#group === undefined ? '' : '\n'}${this.#style('bold', group)}\n`
    this.#group = group
    const mark = this.#style(COLORS[status], MARKS[status])
    const column = INDENT + this.#titleColumns + GAP
    const [first = '', ...rest] = this.#wrap(message, column)
    const indent = ' '.repeat(column)
    const lines = [
      `  ${mark} ${title.padEnd(this.#titleColumns)}${' '.repeat(GAP)}${first}`,
      ...rest.map((line) => indent + line),
      ...(remedy === undefined ? [] : this.#remedyLines(remedy, column)),
    ]
    return `${heading}${lines.join('\n')}\n`
  }

  /** What it comes to. */
  end(): string {
    const { ok, warning, failure } = this.#counts
    const skipped =
      this.#notLookedAt.length === 0
        ? ''
        : `\n${this.#wrap(`Not looked at, because the engine does not answer: ${this.#notLookedAt.join(', ')}.`, 0).join('\n')}\n`
    const parts = [
      failure > 0 ? this.#style('red', `${failure} ${failure === 1 ? 'failure' : 'failures'}`) : undefined,
      warning > 0 ? this.#style('yellow', `${warning} ${warning === 1 ? 'warning' : 'warnings'}`) : undefined,
      `${ok} ok`,
    ].filter((part) => part !== undefined)
    return `${skipped}\n${failure + warning === 0 ? this.#style('green', 'All is well') : parts.join(', ')}\n`
  }

  #remedyLines(remedy: string, column: number): string[] {
    const arrow = '→ '
    return this.#wrap(remedy, column + arrow.length).map(
      (line, index) => ' '.repeat(column) + this.#style('cyan', (index === 0 ? arrow : '  ') + line),
    )
  }

  #wrap(text: string, column: number): string[] {
    const width = Math.max(LEAST_TEXT_COLUMNS, this.#options.columns - column)
    return text.split('\n').flatMap((line) => wrapLine(line, width))
  }

  #style(format: Parameters<typeof styleText>[0], text: string): string {
    return this.#options.colors === 'on' ? styleText(format, text, { validateStream: false }) : text
  }
}

/** Between words; a word that is too long has a line of its own, so that an address or a command can be copied. */
function wrapLine(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** For programs. */
export function reportJson(results: readonly CheckResult[]): string {
  const checks = results.map(({ id, status, message, remedy }) => ({ id, status, message, remedy: remedy ?? null }))
  return `${JSON.stringify({ checks }, null, 2)}\n`
}
