import * as v from 'valibot'
import { reportKinds } from '../kernel-log/index.ts'

/** Of `report.json`; another number where what was there has another meaning, or is no more. */
export const REPORT_VERSION = 1

/** What a kernel reported of itself. */
const kernelReport = v.object({
  kind: v.picklist(reportKinds),
  /** The same each time it happens, on whatever machine. */
  title: v.string(),
  /** All of its lines. */
  block: v.string(),
  /** What the entry makes of it. */
  verdict: v.picklist(['fail', 'warn', 'ignore']),
  /** Seconds since the kernel's start. */
  uptimeS: v.number(),
})

/** One VM: what it was, how it started, and what it had to say. What nobody could find out is not there. */
const vm = v.object({
  /** Unique in the report. */
  id: v.string(),
  /** Name of its entry. */
  entry: v.string(),
  hostname: v.string(),
  /** What its kernel calls itself, as `uname -r` prints it. */
  release: v.optional(v.string()),
  /** The version of its dockerd. */
  dockerd: v.optional(v.string()),
  /** The cgroup version that its dockerd uses, and by which driver. */
  cgroup: v.optional(v.object({ version: v.string(), driver: v.string() })),
  accelerator: v.optional(v.picklist(['kvm', 'tcg'])),
  /** Where the time of its start went; milliseconds since the start was called. Steps may overlap. */
  steps: v.array(v.object({ name: v.string(), fromMs: v.number(), toMs: v.number() })),
  reports: v.array(kernelReport),
  /** The end of its console. */
  console: v.string(),
})

/** Milliseconds since 1970 that are a date (ECMA-262, 21.4.1.1). */
const moment = v.pipe(v.number(), v.minValue(-8.64e15), v.maxValue(8.64e15))

/** How a test went on one entry. */
const result = v.object({
  /** Id of the run. */
  run: v.string(),
  /** Name of the entry. */
  entry: v.string(),
  verdict: v.picklist(['passed', 'failed', 'skipped']),
  /** When it began, in milliseconds since 1970. */
  startedMs: moment,
  /** How long it took, all tries together, in milliseconds. */
  ms: v.number(),
  /** How often it was tried; 0 for what was skipped. */
  tries: v.number(),
  /** How many of the tries failed. */
  failures: v.number(),
  /** As the test runner tells them. */
  errors: v.array(v.string()),
  /** What kernels reported while it ran. */
  reports: v.array(kernelReport),
  /** What came on the consoles of its VMs while it ran, if it failed. */
  console: v.string(),
  /** Ids of the VMs that it ran on. */
  vms: v.array(v.string()),
})

const test = v.object({
  /** Path of the test file, from the root of the tests. */
  file: v.string(),
  /** With the suites that it is in, ` > ` between them. Empty for the file itself: what failed outside of its tests. */
  name: v.string(),
  /** In the order in which they began: the last one decides. */
  results: v.array(result),
})

const run = v.object({
  /** Unique among the runs of all machines. */
  id: v.string(),
  /** What ran the tests. */
  runner: v.picklist(['vitest', 'jest', 'testkernels run']),
  /** Name of the machine. */
  machine: v.string(),
  /** Milliseconds since 1970. */
  startedMs: moment,
  endedMs: moment,
})

const entry = v.object({
  name: v.string(),
  /** The kernel, as the matrix names it. */
  kernel: v.string(),
  cgroup: v.picklist([1, 2]),
})

export const runReport = v.object({
  version: v.literal(REPORT_VERSION),
  runs: v.array(run),
  /** In the order of the matrix. */
  entries: v.array(entry),
  vms: v.array(vm),
  tests: v.array(test),
})

export type ReportedKernelReport = v.InferOutput<typeof kernelReport>
export type ReportedVm = v.InferOutput<typeof vm>
export type ReportedResult = v.InferOutput<typeof result>
export type ReportedTest = v.InferOutput<typeof test>
export type ReportedRun = v.InferOutput<typeof run>
export type ReportedEntry = v.InferOutput<typeof entry>

/** What a run came to, or several: each test on each entry, and the VMs that they ran on. Plain data. */
export type RunReport = v.InferOutput<typeof runReport>

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

/** How many tests came to each verdict on one entry; a file is one of them where something failed outside of its tests. */
export function countsOf(rows: readonly Row[], entry: string): Readonly<Record<Cell['verdict'], number>> {
  const cells = rows.flatMap(({ name, cells }) =>
    cells.filter((cell) => cell?.entry === entry && (name !== '' || cell.verdict === 'failed')),
  )
  const count = (verdict: Cell['verdict']) => cells.filter((cell) => cell?.verdict === verdict).length
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') }
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
 * `fails always on trixie; never on bookworm`; for one that was tried once on each entry, `fails on trixie; not on bookworm`: that is
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
