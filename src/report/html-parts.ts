// Parts of the page that know nothing of the rest of it.

import { html } from './escape.ts'
import { type Cell, frequency, type ReportedKernelReport, type ReportedRun, type ReportedVm } from './model.ts'

export const accelerators = { kvm: 'KVM', tcg: 'software emulation' } as const

/** Longest line that a closed detail shows of an error, in characters. */
const MOST_LINE = 200

/** One cell of the table; a failed one leads to its detail. */
export function cellHtml(cell: Cell | undefined, detail: string | undefined): string {
  if (cell === undefined) return '<td class="n"></td>'
  const { verdict, failures } = cell
  const linked = (text: string) => (detail === undefined ? text : `<a href="#${detail}">${text}</a>`)
  if (verdict === 'failed') return `<td class="f">${linked(failedText(cell))}</td>`
  if (failures > 0) return `<td class="k">${linked(`failed ${frequency(cell)}`)}</td>`
  if (verdict === 'skipped') return '<td class="s">skipped</td>'
  const took = duration(cell.results.at(-1)?.ms ?? 0)
  return `<td class="p">${detail === undefined ? took : linked(`${took}, with a kernel report`)}</td>`
}

function failedText(cell: Cell): string {
  return cell.tries <= 1 ? 'failed' : `failed ${frequency(cell)}`
}

/** Whether there is anything to open. */
export function hasDetail(cell: Cell | undefined): cell is Cell {
  return cell?.results.some(({ errors, reports }) => errors.length + reports.length > 0) ?? false
}

/** What a detail says while it is closed: how the last failure begins. */
export function firstLineOf({ results }: Cell): string {
  const { errors = [], reports = [] } =
    results.findLast((result) => result.errors.length + result.reports.length > 0) ?? {}
  const [line = ''] = (errors[0] ?? reports[0]?.title ?? '').trimStart().split('\n', 1)
  return line.length <= MOST_LINE ? line : `${line.slice(0, MOST_LINE)}…`
}

export function pre(text: string): string {
  // Where it is cut off, keyboards scroll it too.
  return `<pre tabindex="0">${html(text)}</pre>`
}

const verdicts = { fail: 'fails its test', warn: 'is a warning', ignore: 'is allowed' } as const

export function kernelReportHtml({ title, block, verdict, uptimeS }: ReportedKernelReport): string {
  const facts = `${verdicts[verdict]}; ${uptimeS.toFixed(1)} s after the kernel's start`
  return `<h3>Kernel report</h3><p><strong>${html(title)}</strong> <small>${facts}</small></p>${pre(block)}`
}

const ROW = 20

/** Where the time of a start went: a bar for each step, on one scale. */
export function waterfall({ steps }: Pick<ReportedVm, 'steps'>): string {
  if (steps.length === 0) return ''
  const ordered = steps.toSorted((one, other) => one.fromMs - other.fromMs || other.toMs - one.toMs)
  const endMs = Math.max(1, ...ordered.map(({ toMs }) => toMs))
  const percent = (ms: number) => `${((100 * ms) / endMs).toFixed(2)}%`
  const rows = ordered.map(({ name, fromMs, toMs }, at) => {
    const y = at * ROW
    const label = `${html(name)} ${duration(toMs - fromMs)}`
    // In the second half, a label ends where its bar does: it would not fit behind its beginning.
    const isLate = fromMs > endMs / 2
    const text = isLate ? `x="${percent(toMs)}" dx="-4" text-anchor="end"` : `x="${percent(fromMs)}" dx="4"`
    return `<rect x="${percent(fromMs)}" y="${y + 1}" width="${percent(Math.max(toMs - fromMs, endMs / 200))}" height="${ROW - 3}" rx="3"/><text ${text} y="${y + 14}">${label}</text>`
  })
  const all = ordered.map(({ name, fromMs, toMs }) => `${name} ${duration(toMs - fromMs)}`).join(', ')
  return `<h3>Its start</h3><svg class="steps" height="${ordered.length * ROW}" role="img" aria-label="${html(all)}">${rows.join('')}</svg>`
}

/** How long starts took; of several the shortest and the longest. */
export function startText(vms: readonly Pick<ReportedVm, 'steps'>[]): string {
  const ends = vms
    .filter(({ steps }) => steps.length > 0)
    .map(({ steps }) => Math.max(...steps.map(({ toMs }) => toMs)))
  if (ends.length === 0) return '—'
  const [least, most] = [duration(Math.min(...ends)), duration(Math.max(...ends))]
  return least === most ? least : `${least} to ${most}`
}

export function duration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** The same for readers in all time zones. */
export function moment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function runText({ runner, machine, startedMs, endedMs }: ReportedRun): string {
  return `${runner} on ${machine}, ${moment(startedMs)}, ${duration(endedMs - startedMs)}`
}
