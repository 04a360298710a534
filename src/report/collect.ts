import { TestkernelsError } from '../errors/index.ts'
import {
  REPORT_VERSION,
  type ReportedEntry,
  type ReportedKernelReport,
  type ReportedResult,
  type ReportedRun,
  type ReportedTest,
  type ReportedVm,
  type RunReport,
} from './model.ts'

/** A report cannot be read, or does not go with the others. */
export class ReportUnusableError extends TestkernelsError {
  readonly code = 'REPORT_UNUSABLE'
}

/** What a test runner knows of one test file when it is over. */
export interface FileRecord {
  /** Path, from the root of the tests. */
  readonly file: string
  /** All VMs that its tests ran on. */
  readonly vms: readonly Omit<ReportedVm, 'id'>[]
  readonly tests: readonly TestRecord[]
}

/** How one test went, wherever it ran. */
export interface TestRecord extends Omit<ReportedResult, 'run' | 'entry' | 'vms'> {
  readonly name: string
  /** The entries that it ran on, each of which has this result. */
  readonly entries: readonly string[]
  /** Hostnames of the VMs that it ran on. */
  readonly hostnames: readonly string[]
}

export interface Collected {
  readonly run: ReportedRun
  readonly entries: readonly ReportedEntry[]
  readonly files: readonly FileRecord[]
}

/** Longest texts, in characters. What is said first in an error, and last on a console, is what counts. */
const MOST = { error: 16_384, errors: 10, block: 16_384, console: 8_192, vmConsole: 16_384 }

/** What one run came to. */
export function reportOf({ run, entries, files }: Collected): RunReport {
  const vms = new Map<string, ReportedVm>()
  const tests = new Map<string, ReportedTest>()
  for (const { file, vms: own, tests: records } of files) {
    for (const vm of own) addVm(vms, { ...vm, id: vmId(run, vm.hostname) })
    const nameOf = uniqueNames()
    for (const { name, entries: ranOn, hostnames, ...told } of records) {
      const ids = hostnames.map((hostname) => vmId(run, hostname))
      for (const entry of ranOn) {
        const { results } = testOf(tests, { file, name: nameOf(name, entry) })
        const ownIds = ids.filter((id) => vms.get(id)?.entry === entry)
        results.push({ ...bounded(told), run: run.id, entry, vms: ownIds })
      }
    }
  }
  return {
    version: REPORT_VERSION,
    runs: [run],
    entries: [...entries],
    vms: [...vms.values()],
    tests: [...tests.values()],
  }
}

/** Two tests of a file may have one name: they are two tests all the same. */
function uniqueNames(): (name: string, entry: string) => string {
  const counts = new Map<string, number>()
  return (name, entry) => {
    const key = JSON.stringify([name, entry])
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return count === 1 ? name : `${name} (${count})`
  }
}

function vmId({ id }: ReportedRun, hostname: string): string {
  return `${id}/${hostname}`
}

/** Several test files tell of one VM, and each later one knows more. */
function addVm(vms: Map<string, ReportedVm>, vm: ReportedVm): void {
  const known = vms.get(vm.id)
  const facts = Object.fromEntries(Object.entries(vm).filter(([, value]) => value !== undefined)) as ReportedVm
  const reports = onePerTitle([...(known?.reports ?? []), ...vm.reports].map(boundedReport))
  vms.set(vm.id, { ...known, ...facts, reports, console: end(vm.console, MOST.vmConsole) })
}

function onePerTitle(reports: readonly ReportedKernelReport[]): ReportedKernelReport[] {
  return [...new Map(reports.map((report) => [report.title, report])).values()]
}

function testOf(tests: Map<string, ReportedTest>, { file, name }: Pick<ReportedTest, 'file' | 'name'>): ReportedTest {
  const key = JSON.stringify([file, name])
  const test = tests.get(key) ?? { file, name, results: [] }
  tests.set(key, test)
  return test
}

type Told = Omit<ReportedResult, 'run' | 'entry' | 'vms'>

function bounded({ errors, reports, console, ...told }: Told): Told {
  return {
    ...told,
    errors: errors.slice(0, MOST.errors).map((error) => beginning(error, MOST.error)),
    reports: reports.map(boundedReport),
    console: end(console, MOST.console),
  }
}

function boundedReport(report: ReportedKernelReport): ReportedKernelReport {
  return { ...report, block: beginning(report.block, MOST.block) }
}

function beginning(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}\n[${text.length - most} more characters]`
}

/** Whole lines. */
function end(text: string, most: number): string {
  if (text.length <= most) return text
  const kept = text.slice(-most)
  const newline = kept.indexOf('\n')
  return kept.slice(newline >= 0 ? newline + 1 : 0)
}

/**
 * Reports of several runs as one: those of shards, which have each some of the tests; of machines; of the same tests again. Where a test
 * ran more than once on an entry, all of its results are kept, in the order of time. A run that is there twice counts once.
 * @throws ReportUnusableError where an entry is one kernel here and another there
 */
export function mergeReports(reports: readonly RunReport[]): RunReport {
  const runs = new Map<string, ReportedRun>()
  const entries = new Map<string, ReportedEntry>()
  const vms = new Map<string, ReportedVm>()
  const tests = new Map<string, ReportedTest>()
  for (const report of reports) {
    const before = new Set(runs.keys())
    for (const entry of report.entries) addEntry(entries, entry)
    for (const vm of report.vms) vms.set(vm.id, vm)
    for (const { file, name, results } of report.tests)
      testOf(tests, { file, name }).results.push(...results.filter((result) => !before.has(result.run)))
    for (const run of report.runs) runs.set(run.id, run)
  }
  for (const { results } of tests.values()) results.sort((one, other) => one.startedMs - other.startedMs)
  return {
    version: REPORT_VERSION,
    runs: [...runs.values()].sort((one, other) => one.startedMs - other.startedMs),
    entries: [...entries.values()],
    vms: [...vms.values()],
    tests: [...tests.values()],
  }
}

function addEntry(entries: Map<string, ReportedEntry>, entry: ReportedEntry): void {
  const known = entries.get(entry.name)
  if (known === undefined) entries.set(entry.name, entry)
  else if (known.kernel !== entry.kernel || known.cgroup !== entry.cgroup) {
    throw new ReportUnusableError({
      what: `the entry '${entry.name}' is ${known.kernel}, cgroup v${known.cgroup}, in one report, and ${entry.kernel}, cgroup v${entry.cgroup}, in another`,
      remedy: 'merge reports of one matrix, or give each kernel an entry of its own name',
    })
  }
}
