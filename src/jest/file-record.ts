// What a report of the run is made of: each test file leaves a record of its tests, and Jest's process makes a report of them all.
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { formatError } from '../errors/index.ts'
import { replaceFileSync } from '../files/index.ts'
import { kernelText, parseMatrix, readSettings } from '../options/index.ts'
import type { FileRecord, TestRecord } from '../report/index.ts'
import { placeOf, type ToldOfTest, type VmRecord } from '../worker/index.ts'
import type { CircusTest } from './jest-types.ts'
import type { KernelRequest } from './project-files.ts'

/** The record of one test file, in the worker that runs it. */
export class JestFileRecord {
  readonly #path: string
  readonly #file: string
  readonly #request: KernelRequest
  readonly #startedMs = Date.now()
  readonly #tests = new Map<CircusTest, TestRecord>()

  /** @param directory of the records of a project */
  constructor(directory: string, file: string, request: KernelRequest) {
    this.#path = join(directory, `${randomBytes(8).toString('hex')}.json`)
    this.#file = file
    this.#request = request
    // What is read where the worker is killed, or the file does not load.
    this.write(["its tests did not run to the end: Jest's own output says why"], [])
  }

  /** A test was tried; Jest may try it again. */
  done(test: CircusTest, fullName: string, told: ToldOfTest): void {
    const former = this.#tests.get(test)
    const failed = test.errors.length > 0
    this.#tests.set(test, {
      ...this.#named(fullName),
      // A test that is tried again is on one VM or on several.
      hostnames: [...new Set([...(former?.hostnames ?? []), ...told.hostnames])],
      reports: [...(former?.reports ?? []), ...told.reports],
      console: (former?.console ?? '') + told.console,
      verdict: failed ? 'failed' : 'passed',
      startedMs: former?.startedMs ?? test.startedAt ?? Date.now(),
      ms: (former?.ms ?? 0) + (test.duration ?? 0),
      tries: (former?.tries ?? 0) + 1,
      failures: (former?.failures ?? 0) + (failed ? 1 : 0),
      errors: [...(former?.errors ?? []), ...test.errors.map(errorText)],
    })
  }

  skipped(test: CircusTest, fullName: string): void {
    this.#tests.set(test, this.#named(fullName))
  }

  /** @param errors what failed outside of tests */
  write(errors: readonly unknown[], vms: readonly VmRecord[]): void {
    const failed = errors.length > 0
    const file: TestRecord = {
      ...this.#named(''),
      entries: this.#request.rows.map(({ name }) => name),
      verdict: failed ? 'failed' : 'passed',
      ms: Date.now() - this.#startedMs,
      tries: 1,
      failures: failed ? 1 : 0,
      errors: errors.map(errorText),
    }
    const record: FileRecord = { file: this.#file, vms, tests: [file, ...this.#tests.values()] }
    replaceFileSync(this.#path, JSON.stringify(record))
  }

  /** One that was skipped. */
  #named(fullName: string): TestRecord {
    const { scope, rows } = this.#request
    return {
      ...placeOf(fullName, { scope, kernels: rows }),
      verdict: 'skipped',
      startedMs: this.#startedMs,
      ms: 0,
      tries: 0,
      failures: 0,
      errors: [],
      reports: [],
      console: '',
      hostnames: [],
    }
  }
}

/** Jest has an error alone, or with the one that says where the test is. */
function errorText(thrown: unknown): string {
  const error = Array.isArray(thrown) ? (thrown[0] ?? thrown[1]) : thrown
  const { stack, message } = (error ?? {}) as Partial<Error>
  return stack || message || String(error)
}

/** A project whose test files leave records. */
export interface ReportedProject {
  readonly request: KernelRequest
  /** Directory of its records. */
  readonly records: string
  /** Milliseconds since 1970. */
  readonly startedMs: number
}

/** Writes the report of projects that name the same directory, which is from the root of the configuration. */
export async function writeJestReport(projects: readonly ReportedProject[], rootDir: string): Promise<void> {
  const [first] = projects
  if (first?.request.kernelReport === undefined) return
  // Not at the top: workers have no use for it.
  const { endedRun, reportOf, writeReport } = await import('../report/index.ts')
  // In the order of the matrix, and not in that in which Jest sets projects up. Projects may share entries.
  const inOrder = projects.map(({ request }) => request).toSorted((one, other) => one.place - other.place)
  const rows = new Map(inOrder.flatMap((request) => request.rows.map((row) => [row.name, row])))
  const entries = parseMatrix([...rows.values()])
  const files = (await Promise.all(projects.map(({ records }) => readRecords(records, rootDir)))).flat()
  const report = reportOf({
    run: endedRun('jest', Math.min(...projects.map(({ startedMs }) => startedMs))),
    entries: entries.map(({ name, kernel, cgroup }) => ({ name, kernel: kernelText(kernel), cgroup })),
    files,
  })
  try {
    const stepSummary = readSettings().environment['GITHUB_STEP_SUMMARY']
    const path = await writeReport(report, { directory: resolve(rootDir, first.request.kernelReport), stepSummary })
    process.stderr.write(`testkernels report of the run: ${path}\n`)
  } catch (thrown) {
    process.stderr.write(`${formatError(thrown)}\n`)
    process.exitCode ||= 1
  }
}

async function readRecords(directory: string, rootDir: string): Promise<readonly FileRecord[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json'))
  const records = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as FileRecord),
  )
  return records.map((record) => ({ ...record, file: relative(rootDir, record.file) }))
}
