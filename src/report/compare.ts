import type { ReportedEntry, ReportedResult, ReportedTest, RunReport } from './model.ts'

/**
 * What the kernels make of a test: it fails on some of them alone; on all; on none in the end, but some tries; it runs on some of them
 * alone; it passes; it runs nowhere. The order is the one of a report.
 */
export const rowKinds = ['differs', 'fails', 'flaky', 'skips', 'passes', 'skipped'] as const
export type RowKind = (typeof rowKinds)[number]

/** A test on one entry: all of its results there, the last of which decides. */
export interface Cell {
  readonly entry: string
  readonly verdict: ReportedResult['verdict']
  /** Of all results together. */
  readonly tries: number
  readonly failures: number
  readonly results: readonly ReportedResult[]
}

/** A test on all entries. */
export interface Row {
  readonly kind: RowKind
  readonly file: string
  readonly name: string
  /** One for each entry, in their order; undefined where it did not run, nor was skipped. */
  readonly cells: readonly (Cell | undefined)[]
}

/** Tests by kernels; what the kernels differ in first. */
export function compare({ tests, entries }: Pick<RunReport, 'tests' | 'entries'>): readonly Row[] {
  const columns = columnsOf({ tests, entries })
  const rows = tests.map((test) => rowOf(test, columns)).filter((row) => row.name !== '' || row.kind !== 'passes')
  const order = (row: Row) => rowKinds.indexOf(row.kind)
  const byFile = (one: Row, other: Row) => (one.file < other.file ? -1 : one.file > other.file ? 1 : 0)
  return rows.toSorted((one, other) => order(one) - order(other) || byFile(one, other))
}

/** The entries; behind them what tests of a suite that name no entry are told under. */
export function columnsOf({ tests, entries }: Pick<RunReport, 'tests' | 'entries'>): readonly string[] {
  const names = new Set(entries.map(({ name }: ReportedEntry) => name))
  for (const { results } of tests) for (const { entry } of results) names.add(entry)
  return [...names]
}

function rowOf({ file, name, results }: ReportedTest, columns: readonly string[]): Row {
  const cells = columns.map((entry) => cellOf(entry, results))
  return { kind: kindOf(cells.flatMap((cell) => cell ?? [])), file, name, cells }
}

function cellOf(entry: string, all: readonly ReportedResult[]): Cell | undefined {
  const results = all.filter((result) => result.entry === entry)
  const last = results.at(-1)
  if (last === undefined) return undefined
  const sum = (of: 'tries' | 'failures') => results.reduce((total, result) => total + result[of], 0)
  return { entry, verdict: last.verdict, tries: sum('tries'), failures: sum('failures'), results }
}

function kindOf(cells: readonly Cell[]): RowKind {
  const has = (verdict: Cell['verdict']) => cells.some((cell) => cell.verdict === verdict)
  if (has('failed')) return has('passed') ? 'differs' : 'fails'
  if (cells.some(({ failures }) => failures > 0)) return 'flaky'
  if (has('skipped')) return has('passed') ? 'skips' : 'skipped'
  return 'passes'
}

/** `always`, `never`, or `3 of 10`: how often the tries of a test failed on an entry. */
export function frequency({ tries, failures }: Pick<Cell, 'tries' | 'failures'>): string {
  if (failures === 0) return 'never'
  return failures === tries ? 'always' : `${failures} of ${tries}`
}

/**
 * `fails always on trixie, never on bookworm`; for one that was tried once on each entry, `fails on trixie, not on bookworm`: that is
 * not always.
 */
export function describeRow({ cells }: Pick<Row, 'cells'>): string {
  const ran = cells.flatMap((cell) => (cell === undefined || cell.tries === 0 ? [] : [cell]))
  const isOnce = ran.every(({ tries }) => tries === 1)
  const groups = new Map<string, string[]>()
  for (const cell of ran.toSorted((one, other) => share(other) - share(one))) {
    const often = frequency(cell)
    const word = isOnce ? ({ always: '', never: 'not ' }[often] ?? '') : `${often} `
    groups.set(word, [...(groups.get(word) ?? []), cell.entry])
  }
  return `fails ${[...groups].map(([word, entries]) => `${word}on ${entries.join(', ')}`).join('; ')}`
}

function share({ tries, failures }: Cell): number {
  return failures / tries
}
