import { markdownBlock, markdownLine } from './escape.ts'
import { headings } from './html.ts'
import { accelerators, firstLineOf, hasDetail, runText } from './html-parts.ts'
import { type Cell, columnsOf, compare, countsOf, describeRow, frequency, type Row, type RunReport } from './model.ts'

/** What a summary has of errors and kernel reports, each; the pages beside it have all. */
const MOST_BLOCK = 2_000

/**
 * The same for GitHub's summary of a job and for merge requests: kernels, and the tests that do not pass on all of them.
 * @param mostBytes what does not fit in is left out, whole rows at a time, and said to be
 */
export function markdownOf(report: RunReport, mostBytes: number): string {
  const columns = columnsOf(report)
  const rows = compare(report)
  const pieces = [
    `## Tests by kernels\n\n${report.runs.map((run) => `${markdownLine(runText(run))}\n`).join('\n')}\n${sumsOf(rows)}\n`,
    kernelTable(report, rows),
  ]
  const told = rows.filter(({ kind }) => kind === 'differs' || kind === 'fails' || kind === 'flaky')
  let isBegun = false
  const blocks = told.flatMap((row) => row.cells.filter(hasDetail).map((cell) => detail(row, cell)))
  const table = told.map((row) => {
    const head = isBegun
      ? ''
      : `\n| test |${columns.map((name) => ` ${markdownLine(name)} |`).join('')}\n|---|${'---|'.repeat(columns.length)}\n`
    isBegun = true
    return `${head}${tableRow(row)}`
  })
  return fitting([...pieces, ...table, '\n', ...blocks], mostBytes)
}

const LEFT_OUT = '\n\nThere is more, for which this has no room: report.html has all.\n'

function fitting(pieces: readonly string[], mostBytes: number): string {
  let bytes = Buffer.byteLength(LEFT_OUT)
  const taken: string[] = []
  for (const piece of pieces) {
    bytes += Buffer.byteLength(piece)
    if (bytes > mostBytes) return Buffer.byteLength(LEFT_OUT) > mostBytes ? '' : taken.join('') + LEFT_OUT
    taken.push(piece)
  }
  return taken.join('')
}

function sumsOf(rows: readonly Row[]): string {
  const sums = Object.entries(headings).map(([kind, [, words]]) => ({
    words,
    count: rows.filter((row) => row.kind === kind).length,
  }))
  return (
    sums
      .filter(({ count }) => count > 0)
      .map(({ words, count }) => `**${count}** ${words}`)
      .join(', ') || 'No test ran.'
  )
}

function kernelTable({ entries, vms }: RunReport, rows: readonly Row[]): string {
  const lines = entries.map(({ name, kernel, cgroup }) => {
    const own = vms.filter(({ entry }) => entry === name)
    const all = (values: readonly (string | undefined)[]) =>
      [...new Set(values.filter((value) => value !== undefined))].map(markdownLine).join(', ') || '—'
    const { passed, failed, skipped } = countsOf(rows, name)
    const cells = [
      `**${markdownLine(name)}**<br>${markdownLine(kernel)}, cgroup v${cgroup}`,
      all(own.map(({ release }) => release)),
      all(own.map(({ dockerd }) => dockerd)),
      all(own.map(({ accelerator }) => accelerator && accelerators[accelerator])),
      `${passed} passed, ${failed} failed, ${skipped} skipped`,
    ]
    return `| ${cells.join(' | ')} |\n`
  })
  return `\n| entry | kernel | dockerd | accelerator | tests |\n|---|---|---|---|---|\n${lines.join('')}`
}

function tableRow(row: Row): string {
  const why = row.kind === 'fails' ? '' : `<br>${markdownLine(describeRow(row))}`
  return `| ${titleOf(row)}${why} |${row.cells.map((cell) => ` ${cellText(cell)} |`).join('')}\n`
}

function titleOf({ file, name }: Row): string {
  return `${markdownLine(file)}: ${name === '' ? 'outside of its tests' : markdownLine(name)}`
}

function cellText(cell: Cell | undefined): string {
  if (cell === undefined) return ''
  const often = cell.tries > 1 && cell.failures > 0 ? ` ${frequency(cell)}` : ''
  if (cell.verdict === 'failed') return `❌${often}`
  if (cell.verdict === 'skipped') return 'skipped'
  return cell.failures > 0 ? `⚠️${often}` : '✅'
}

function detail(row: Row, cell: Cell): string {
  const { errors = [], reports = [] } =
    cell.results.findLast(({ errors, reports }) => errors.length + reports.length > 0) ?? {}
  const blocks = [...errors, ...reports.map(({ block }) => block)].map((text) =>
    markdownBlock(text.slice(0, MOST_BLOCK)),
  )
  const summary = `${markdownLine(cell.entry)}: ${titleOf(row)}: ${markdownLine(firstLineOf(cell))}`
  return `\n<details><summary>${summary}</summary>\n\n${blocks.join('\n\n')}\n\n</details>\n`
}
