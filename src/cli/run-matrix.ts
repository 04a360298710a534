import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import { Slots } from '../lifetime/index.ts'
import { factsOf, RunLogs } from '../matrix/index.ts'
import { type KernelEntry, type KernelMatrix, kernelText, parseMatrix } from '../options/index.ts'
import type { FileRecord, TestRecord } from '../report/index.ts'
import { newStart, openSession, type Session } from '../vm/index.ts'
import { type VmRecord, vmRecord } from '../worker/index.ts'
import type { Working } from './execute.ts'
import { EXIT_OWN_FAILURE } from './execute.ts'
import { checkVmcorePath, firstLine, type Outcome, runInVm } from './run-in-vm.ts'

/** Exit status when a command failed for some entry. */
const EXIT_FAILED = 1

/** The file of `--matrix` cannot be read, or exports no matrix. */
export class MatrixFileError extends TestkernelsError {
  readonly code = 'MATRIX_FILE'
}

export interface RunMatrixArguments extends Working {
  /** The file that exports the matrix. */
  readonly file: string
  readonly order: 'in-turn' | 'parallel'
  /** `never`: all entries boot cold, whatever they say. */
  readonly template: 'as-entries-say' | 'never'
  readonly command: readonly string[]
  /** Directory of a report of the run. */
  readonly report: string | undefined
  /** Files for the memory of guests whose command failed, or that panicked: this path, and `.` and the entry's name. */
  readonly vmcore: string | undefined
}

/**
 * Runs the command once for each entry, and ends with a table of how it went.
 * @returns 0 when it passed for all; 1 when it failed for some, or their kernels reported faults; 125 when only VMs failed
 * @throws MatrixFileError, InvalidOptionError, ... before anything starts; InterruptedError after the table; ReportNotWrittenError
 */
export async function runMatrix({
  file,
  order,
  template,
  command,
  report,
  vmcore,
  ...working
}: RunMatrixArguments): Promise<number> {
  const { settings, log, progress, signal } = working
  const startedMs = Date.now()
  if (vmcore !== undefined) await checkVmcorePath(vmcore)
  const entries = (await loadMatrix(file)).map((entry) =>
    template === 'never' ? { ...entry, template: false } : entry,
  )
  const session = await openSession({ settings, log, signal, onBuildStatus: progress.update.bind(progress) })
  // A boot keeps a core busy: more of them at a time than there are cores would be no faster.
  const slots = new Slots(order === 'parallel' ? Math.max(2, session.host.cores) : 1)
  const logs = new RunLogs({ cacheDirectory: settings.cacheDirectory, log })
  const results = await Promise.all(
    entries.map((entry) =>
      runEntry({ entry, session, command, logs, slots, settings, signal, vmcore, isReported: report !== undefined }),
    ),
  )
  for (const line of ['', ...summaryLines(results)]) log.info(line)
  if (report !== undefined) {
    const { endedRun, reportOf, writeReport } = await import('../report/index.ts')
    const files = results.map((result) => recordOf(result, { file, command, startedMs }))
    const named = entries.map(({ name, kernel, cgroup }) => ({ name, kernel: kernelText(kernel), cgroup }))
    const stepSummary = settings.environment['GITHUB_STEP_SUMMARY']
    const collected = reportOf({ run: endedRun('testkernels run', startedMs), entries: named, files })
    log.info(`report of the run: ${await writeReport(collected, { directory: report, stepSummary })}`)
  }
  signal.throwIfAborted()
  if (results.every(isPassed)) return 0
  return results.some((result) => result.outcome.kind === 'exited' && !isPassed(result))
    ? EXIT_FAILED
    : EXIT_OWN_FAILURE
}

interface EntryRun extends Pick<RunMatrixArguments, 'settings' | 'signal' | 'vmcore'> {
  readonly entry: KernelEntry
  readonly session: Session
  readonly command: readonly string[]
  readonly logs: RunLogs
  readonly slots: Slots
  /** Whether there is to be a report. */
  readonly isReported: boolean
}

/** Never fails: what goes wrong with one entry is its result, and the others go on. */
async function runEntry(run: EntryRun): Promise<EntryResult> {
  const { entry, session, command, logs, slots, settings, signal, vmcore, isReported } = run
  const result = { entry: entry.name, kernel: kernelText(entry.kernel) }
  const log = session.log.named(entry.name)
  let fromMs = performance.now()
  const { output, lines } = prefixed(entry.name)
  const vms: VmRecord[] = []
  try {
    using _slot = await slots.take(signal)
    fromMs = performance.now()
    // Each VM ends with its command, whatever the others do.
    const start = newStart(session, { hostname: entry.name, log, signal, memoryWaitMs: Number.POSITIVE_INFINITY })
    const outcome = await runInVm({ session, entry }, start, {
      command,
      environment: settings.environment,
      output,
      vmcore: vmcore === undefined ? undefined : `${vmcore}.${entry.name}`,
      onStarted: (vm) => logs.follow(vm),
      onEnded: async (vm) => {
        await logs.keep(vm)
        if (isReported) vms.push(await vmRecord({ name: vm.name, kernel: vm }, factsOf(vm), vm.kernelReports))
      },
    })
    return { ...result, outcome, ms: performance.now() - fromMs, vms, output: lines }
  } catch (thrown) {
    if (signal.aborted) return { ...result, outcome: { kind: 'not-run' }, ms: 0, vms, output: lines }
    const why = reasonOf(thrown)
    log.info(why)
    return {
      ...result,
      outcome: { kind: 'vm-failed', why: firstLine(why) },
      ms: performance.now() - fromMs,
      vms,
      output: lines,
    }
  }
}

/** Lines of a command's output that a report has: the last ones. */
const MOST_OUTPUT_LINES = 100

function prefixed(name: string) {
  const lines: string[] = []
  const pass = (stream: NodeJS.WriteStream) => (line: string) => {
    lines.push(line)
    if (lines.length > MOST_OUTPUT_LINES) lines.shift()
    stream.write(`[${name}] ${line}\n`)
  }
  return { lines, output: { stdout: pass(process.stdout), stderr: pass(process.stderr) } }
}

interface Ran {
  /** Of the matrix. */
  readonly file: string
  readonly command: readonly string[]
  readonly startedMs: number
}

/** In a report, the command is a test. */
export function recordOf(result: EntryResult, { file, command, startedMs }: Ran): FileRecord {
  const { entry, outcome, ms, vms, output } = result
  const verdict = outcome.kind === 'not-run' ? 'skipped' : isPassed(result) ? 'passed' : 'failed'
  const reports = vms.flatMap(({ reports }) => reports)
  const test: TestRecord = {
    name: command.join(' '),
    entries: [entry],
    hostnames: vms.map(({ hostname }) => hostname),
    verdict,
    startedMs,
    ms,
    tries: verdict === 'skipped' ? 0 : 1,
    failures: verdict === 'failed' ? 1 : 0,
    errors: verdict === 'failed' ? [`${resultText(outcome)}\n\n${output.join('\n')}`] : [],
    reports: reports.filter(({ verdict }) => verdict !== 'ignore'),
    console: '',
  }
  return { file, vms, tests: [test] }
}

/**
 * Reads the matrix that a file exports by default, in TypeScript or JavaScript, whatever kind of module.
 * @throws MatrixFileError; InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export async function loadMatrix(file: string): Promise<readonly KernelEntry[]> {
  const matrix = await importDefault(resolve(file))
  if (typeof matrix === 'object' && matrix !== null) return parseMatrix(matrix as KernelMatrix)
  throw new MatrixFileError({
    what: `${file} exports no matrix`,
    remedy: "write `export default { v2: { kernel: 'debian:trixie' } }` or `export default kernelMatrix({ ... })`",
  })
}

/** Node 20 cannot import TypeScript. No cache on the disk: it would lie in the user's node_modules. */
async function importDefault(path: string): Promise<unknown> {
  try {
    return await createJiti(import.meta.url, { fsCache: false }).import(path, { default: true })
  } catch (cause) {
    throw new MatrixFileError({
      what: `cannot read the matrix in ${path}`,
      cause,
      remedy: 'check the file after --matrix',
    })
  }
}

/** How the command ended for one entry. */
export interface EntryResult {
  readonly entry: string
  /** The kernel, as the user named it. */
  readonly kernel: string
  readonly outcome: EntryOutcome
  /** From the start of the VM to its end, in milliseconds. */
  readonly ms: number
  /** What a report tells of its VM; none where it did not start. */
  readonly vms: readonly VmRecord[]
  /** The last lines that the command wrote. */
  readonly output: readonly string[]
}

/** `not-run`: the run was ended before. */
type EntryOutcome = Outcome | { readonly kind: 'not-run' }

export function isPassed({ outcome }: Pick<EntryResult, 'outcome'>): boolean {
  return outcome.kind === 'exited' && outcome.status === 0 && outcome.reported.length === 0
}

/** A table for people: entry, kernel, result, time. */
export function summaryLines(results: readonly Pick<EntryResult, 'entry' | 'kernel' | 'outcome' | 'ms'>[]): string[] {
  const rows = results.map(({ entry, kernel, outcome, ms }) => [entry, kernel, seconds(ms), resultText(outcome)])
  const table = [['entry', 'kernel', 'time', 'result'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

function resultText(outcome: EntryOutcome): string {
  switch (outcome.kind) {
    case 'exited':
      if (outcome.status !== 0) return `failed with status ${outcome.status}`
      return outcome.reported.length === 0 ? 'passed' : `failed: the kernel reported ${outcome.reported.join(', ')}`
    case 'vm-failed':
      return `failed: ${outcome.why}`
    case 'not-run':
      return 'not run'
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
