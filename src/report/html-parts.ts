// Parts of the page that know nothing of the rest of it.

import { html } from './escape.ts'
import {
  type Cell,
  frequency,
  type ReportedKernelReport,
  type ReportedRun,
  type ReportedVm,
  type Row,
} from './model.ts'

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

/** `3 tests`, `1 test and 2 files`: what failed outside of its tests is a row of its file. */
export function rowsText(rows: readonly Row[]): string {
  const files = rows.filter(({ name }) => name === '').length
  const several = (count: number, word: string) => (count === 0 ? [] : `${count} ${word}${count === 1 ? '' : 's'}`)
  return [several(rows.length - files, 'test'), several(files, 'file')].flat().join(' and ')
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

/** Of the page: light and dark as the reader has it, from the width of a phone on, and nothing that is fetched. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #fff; --card: #f6f7f9; --line: #dfe3e8; --text: #1b1f24; --soft: #5b6570; --link: #0b5cad;
  --pass: #1a7f37; --fail: #c62828; --warn: #8a5a00; --fail-back: #fdecec; --pass-back: #eaf6ed; --warn-back: #fff5df;
  --bar: #bcd6f5; --code: #f3f4f6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1216; --card: #171b21; --line: #2b323b; --text: #e4e8ed; --soft: #98a3af; --link: #79b8ff;
    --pass: #58c472; --fail: #ff7b72; --warn: #e3b341; --fail-back: #34191b; --pass-back: #13261a; --warn-back: #2d2410;
    --bar: #2a4a73; --code: #12161b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 90rem; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; letter-spacing: -.02em; line-height: 1.25; }
h2 { margin: 2.25rem 0 .5rem; font-size: 1.1rem; }
h3 { margin: 1rem 0 .25rem; font-size: .8rem; font-weight: 600; color: var(--soft); }
h2 small, small { color: var(--soft); font-weight: 400; font-size: .82rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
.soft { color: var(--soft); }
.sums { display: flex; flex-wrap: wrap; gap: .5rem; margin: 1rem 0 0; padding: 0; list-style: none; }
.sums a, .sums span { display: block; padding: .5rem .9rem; border: 1px solid var(--line); border-radius: 8px; background: var(--card); color: inherit;
  text-decoration: none; }
.sums a:hover { border-color: var(--link); }
.sums b { display: block; font-size: 1.35rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.sums .differs b, .sums .fails b { color: var(--fail); }
.sums .flaky b, .sums .reports b { color: var(--warn); }
.sums .passes b { color: var(--pass); }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; font-weight: 400; }
thead th { border-top: 0; background: var(--card); font-size: .82rem; font-weight: 600; vertical-align: bottom; overflow-wrap: anywhere; }
thead small { display: block; font-size: .74rem; }
tbody th small { display: block; overflow-wrap: anywhere; }
.kernels th { font-weight: 600; }
.kernels small { display: block; }
.count { white-space: nowrap; }
.count svg { display: block; width: 8rem; height: 6px; margin-top: .3rem; border-radius: 3px; }
.tests tbody th { overflow-wrap: anywhere; min-width: 16rem; }
.tests td { white-space: nowrap; font-size: .85rem; }
.tests .file th { padding-top: .8rem; padding-bottom: .2rem; background: var(--card); color: var(--soft);
  font: .8rem ui-monospace, "DejaVu Sans Mono", monospace; }
.p { color: var(--pass); } .f { color: var(--fail); background: var(--fail-back); } .k { color: var(--warn); background: var(--warn-back); }
.s, .n { color: var(--soft); }
.p::before { content: "\\2713\\a0" / "passed "; } .f::before { content: "\\2717\\a0" / ""; } .k::before { content: "\\21bb\\a0" / ""; }
.tests td a { color: inherit; }
.tests .more > td { padding: 0 .7rem .7rem; border-top: 0; white-space: normal; }
.more p { color: var(--soft); font-size: .85rem; }
.more strong { color: var(--text); }
details > summary { cursor: pointer; padding: .35rem 0; overflow-wrap: anywhere; }
.more details { border: 1px solid var(--line); border-radius: 6px; padding: 0 .7rem; margin-top: .35rem; background: var(--card); }
.more summary b { color: var(--fail); }
.body { padding-bottom: .6rem; }
.body { scroll-margin-top: 4rem; }
details:has(> .body:target) { border-color: var(--link); }
pre { margin: .2rem 0; padding: .6rem .75rem; max-height: 28rem; overflow: auto; border: 1px solid var(--line); border-radius: 6px; background: var(--code);
  font: .78rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; }
.vm { border: 1px solid var(--line); border-radius: 8px; padding: .15rem .8rem; margin-top: .4rem; }
.vm[open] { padding-bottom: .8rem; }
.steps { display: block; width: 100%; overflow: visible; font-size: 12px; }
.steps rect { fill: var(--bar); } .steps text { fill: var(--text); }
footer { margin-top: 3rem; color: var(--soft); font-size: .82rem; }
@media (max-width: 44rem) {
  .wide { border: 0; overflow: visible; }
  table, tbody, tr, th, td { display: block; border: 0; padding: 0; }
  thead { display: none; }
  .kernels tr, .tests tr:not(.file, .more) { border: 1px solid var(--line); border-radius: 8px; padding: .6rem .7rem; margin-top: .5rem; }
  .kernels td { display: inline-block; margin-right: .8rem; font-size: .88rem; }
  .kernels td::before { content: attr(data-of) "\\a0"; color: var(--soft); }
  .tests tr:not(.file, .more) { display: flex; flex-wrap: wrap; gap: .35rem; }
  .tests tbody th { min-width: 0; flex: 1 1 100%; }
  .tests tr:not(.file, .more) td { padding: .1rem .5rem; border: 1px solid var(--line); border-radius: 99px; white-space: normal; overflow-wrap: anywhere; }
  .tests td.n { display: none; }
  .tests .more > td { padding: 0; }
  .tests .file th { background: none; }
}
@media print { pre { max-height: none; } }
`
