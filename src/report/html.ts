import { cssString, html } from './escape.ts'
import {
  accelerators,
  cellHtml,
  duration,
  firstLineOf,
  hasDetail,
  kernelReportHtml,
  moment,
  pre,
  rowsText,
  runText,
  startText,
  style,
  waterfall,
} from './html-parts.ts'
import {
  type Cell,
  columnsOf,
  compare,
  countsOf,
  describeRow,
  type ReportedResult,
  type ReportedVm,
  type Row,
  type RowKind,
  type RunReport,
  rowKinds,
} from './model.ts'

export const headings: Readonly<Record<RowKind, readonly [heading: string, sum: string]>> = {
  differs: ['Fails on some kernels and not on others', 'differ between kernels'],
  fails: ['Fails wherever it runs', 'fail on all'],
  flaky: ['Passes in the end, after tries that failed', 'flaky'],
  skips: ['Runs on some kernels alone', 'run on some'],
  passes: ['Passes wherever it runs', 'pass on all'],
  skipped: ['Runs nowhere', 'skipped'],
}

/** What a page has of errors and consoles, in characters; the rest is in report.json. It is to open at once. */
const MOST_DETAILS = 4 * 1024 * 1024
const ENOUGH = '<p>This page has enough to show: the rest of it is in report.json.</p>'
/** VMs that a page tells of; a suite may have one for each test file. */
const MOST_VMS = 200

/** A page for people, which needs no network and no script: https://html.spec.whatwg.org/ */
export function htmlOf(report: RunReport): string {
  return new Page(report).render()
}

class Page {
  readonly #report: RunReport
  readonly #columns: readonly string[]
  readonly #rows: readonly Row[]
  readonly #vmIds: ReadonlyMap<string, string>
  #details = 0
  #characters = 0

  constructor(report: RunReport) {
    this.#report = report
    this.#columns = columnsOf(report)
    this.#rows = compare(report)
    // Those with something to say first.
    const ordered = report.vms.toSorted((one, other) => other.reports.length - one.reports.length)
    this.#vmIds = new Map(ordered.slice(0, MOST_VMS).map(({ id }, at) => [id, `v${at}`]))
  }

  render(): string {
    const sections = rowKinds.map((kind) => this.#section(kind)).join('')
    return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${this.#title()}: tests by kernels</title>
<style>${style}${this.#labels()}</style>
</head>
<body>
<header>
<h1>Tests by kernels</h1>
${this.#report.runs.map((run) => `<p class="soft">${html(runText(run))}</p>`).join('\n')}
<ul class="sums">${this.#sums()}</ul>
</header>
<main>
${this.#kernels()}
${sections}
${this.#vms()}
</main>
<footer>Made by testkernels. The same for programs is in report.json, beside this page.</footer>
</body>
</html>
`
  }

  /** On a phone the heads of columns are not there, and each cell names its kernel. */
  #labels(): string {
    const labels = this.#columns.map(
      (name, at) => `.tests td:nth-child(${at + 2})::after { content: "\\a0" ${cssString(name)}; }`,
    )
    return `@media (max-width: 44rem) {\n${labels.join('\n')}\n}\n`
  }

  #of(kind: RowKind): readonly Row[] {
    return this.#rows.filter((row) => row.kind === kind)
  }

  #title(): string {
    const [worst] = rowKinds.filter((kind) => this.#of(kind).length > 0)
    return worst === undefined ? 'no tests' : `${this.#of(worst).length} ${headings[worst][1]}`
  }

  #sums(): string {
    const sums = rowKinds.map((kind) => ({ kind, count: this.#of(kind).length, words: headings[kind][1] }))
    const titles = this.#report.vms.flatMap(({ reports }) => reports).filter(({ verdict }) => verdict !== 'ignore')
    const links = sums
      .filter(({ count }) => count > 0)
      .map(({ kind, count, words }) => `<li class="${kind}"><a href="#${kind}"><b>${count}</b>${words}</a></li>`)
    if (titles.length > 0)
      links.push(`<li class="reports"><a href="#vms"><b>${titles.length}</b>kernel reports</a></li>`)
    return links.join('') || '<li><span>No test ran.</span></li>'
  }

  #kernels(): string {
    const rows = this.#report.entries.map(({ name, kernel, cgroup }) => {
      const vms = this.#report.vms.filter(({ entry }) => entry === name)
      const all = (of: (vm: ReportedVm) => string | undefined) =>
        html([...new Set(vms.flatMap((vm) => of(vm) ?? []))].join(', ') || '—')
      const [first] = vms.filter(({ id }) => this.#vmIds.has(id))
      const label = first === undefined ? html(name) : `<a href="#${this.#vmIds.get(first.id)}">${html(name)}</a>`
      return `<tr><th scope="row">${label}<small>${html(kernel)}, cgroup v${cgroup}</small></th>
<td data-of="kernel">${all(({ release }) => release)}</td>
<td data-of="dockerd">${all(({ dockerd }) => dockerd)}</td>
<td data-of="cgroup">${all((vm) => vm.cgroup && `v${vm.cgroup.version}, ${vm.cgroup.driver}`)}</td>
<td data-of="accelerator">${all(({ accelerator }) => accelerator && accelerators[accelerator])}</td>
<td data-of="start">${html(startText(vms))}</td>
<td data-of="tests"><span class="count">${this.#counts(name)}</span></td></tr>`
    })
    return `<section id="kernels"><h2>Kernels</h2>
<div class="wide"><table class="kernels"><thead><tr>${['entry', 'kernel', 'dockerd', 'cgroup', 'accelerator', 'start', 'tests'].map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div></section>`
  }

  #counts(entry: string): string {
    const { passed, failed, skipped } = countsOf(this.#rows, entry)
    const all = Math.max(1, passed + failed + skipped)
    const share = (count: number) => `${((100 * count) / all).toFixed(2)}%`
    const bar = `<svg aria-hidden="true"><rect width="100%" height="6" fill="var(--line)"/><rect width="${share(passed + failed)}" height="6" fill="var(--fail)"/><rect width="${share(passed)}" height="6" fill="var(--pass)"/></svg>`
    return `${passed} passed${failed > 0 ? `, ${failed} failed` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}${bar}`
  }

  #section(kind: RowKind): string {
    const rows = this.#of(kind)
    if (rows.length === 0) return ''
    const [heading] = headings[kind]
    const table = `<div class="wide"><table class="tests"><thead><tr><th scope="col">test</th>${this.#heads()}</tr></thead>${this.#files(rows)}</table></div>`
    const count = `<small>${rowsText(rows)}</small>`
    if (kind === 'passes' || kind === 'skipped')
      return `<section id="${kind}"><h2>${heading}</h2><details><summary>${count}</summary>${table}</details></section>\n`
    return `<section id="${kind}"><h2>${heading} ${count}</h2>${table}</section>\n`
  }

  #heads(): string {
    return this.#columns.map((name) => `<th scope="col">${html(name)}</th>`).join('')
  }

  #files(rows: readonly Row[]): string {
    const files = new Map<string, Row[]>()
    for (const row of rows) files.set(row.file, [...(files.get(row.file) ?? []), row])
    const head = (file: string) =>
      `<tbody><tr class="file"><th colspan="${this.#columns.length + 1}" scope="rowgroup">${html(file)}</th></tr>`
    return [...files].map(([file, own]) => `${head(file)}${own.map((row) => this.#row(row)).join('')}</tbody>`).join('')
  }

  #row(row: Row): string {
    const told = row.cells.map((cell) => (hasDetail(cell) ? this.#detail(cell) : undefined))
    const cells = row.cells.map((cell, at) => cellHtml(cell, told[at]?.id))
    const name = row.name === '' ? '<em>outside of its tests</em>' : html(row.name)
    const details = told.flatMap((one) => one?.text ?? []).join('')
    const isOfKernels = row.kind === 'differs' || row.kind === 'flaky'
    const more = `${isOfKernels ? `<p>${html(describeRow(row))}</p>` : ''}${details}`
    const below = more === '' ? '' : `<tr class="more"><td colspan="${this.#columns.length + 1}">${more}</td></tr>`
    return `<tr><th scope="row">${name}</th>${cells.join('')}</tr>\n${below}`
  }

  #detail(cell: Cell): { readonly id: string; readonly text: string } {
    const id = `d${this.#details++}`
    const line = html(firstLineOf(cell))
    const body =
      this.#characters > MOST_DETAILS
        ? ENOUGH
        : cell.results.map((result) => this.#result(result, cell.results.length > 1)).join('')
    this.#characters += body.length
    const text = `<details><summary><b>${html(cell.entry)}</b> ${line}</summary><div class="body" id="${id}">${body}</div></details>`
    return { id, text }
  }

  #result(result: ReportedResult, isOneOfMany: boolean): string {
    const { errors, reports, console } = result
    const vms = result.vms.flatMap((id) => this.#vmIds.get(id) ?? [])
    const links = vms.map((id) => `<a href="#${id}">its VM, with the end of its console</a>`).join(', ')
    const when = isOneOfMany ? `${moment(result.startedMs)}: ${result.verdict}, ` : ''
    const facts = `${when}${duration(result.ms)}${result.tries > 1 ? `, failed ${result.failures} of ${result.tries} tries` : ''}`
    return `<p>${html(facts)}${links && `; ${links}`}</p>${[
      errors.length > 0 && `<h3>Error</h3>${errors.map(pre).join('')}`,
      ...reports.map(kernelReportHtml),
      console !== '' && `<h3>Console while it ran</h3>${pre(console)}`,
    ]
      .filter(Boolean)
      .join('')}`
  }

  #vms(): string {
    const shown = this.#report.vms.filter(({ id }) => this.#vmIds.has(id))
    if (shown.length === 0) return ''
    const more = this.#report.vms.length - shown.length
    return `<section id="vms"><h2>Virtual machines <small>how they started, what their kernels reported, how their consoles end</small></h2>
${shown.map((vm) => this.#vm(vm)).join('\n')}${more > 0 ? `<p>${more} more are in report.json.</p>` : ''}</section>`
  }

  #vm(vm: ReportedVm): string {
    const { hostname, release, reports, steps, console } = vm
    const facts = [
      release,
      steps.length > 0 && `started in ${startText([vm])}`,
      reports.length > 0 && `${reports.length} kernel ${reports.length === 1 ? 'report' : 'reports'}`,
    ]
    const told = `${reports.map(kernelReportHtml).join('')}${console === '' ? '' : `<h3>The end of its console</h3>${pre(console)}`}`
    const body = this.#characters > MOST_DETAILS ? ENOUGH : told
    this.#characters += body.length
    return `<details class="vm"><summary>${html(hostname)} <small>${html(facts.filter(Boolean).join(', '))}</small></summary><div class="body" id="${this.#vmIds.get(vm.id)}">
${waterfall(vm)}${body}</div></details>`
  }
}
