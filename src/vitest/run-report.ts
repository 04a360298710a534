import { relative, resolve } from 'node:path'
import type { TestCase, TestModule, Vitest } from 'vitest/node'
import { formatError } from '../errors/index.ts'
import { kernelText, parseMatrix, readSettings } from '../options/index.ts'
import { endedRun, type FileRecord, reportOf, type TestRecord, writeReport } from '../report/index.ts'
import { placeOf } from '../worker/index.ts'
import type { KernelRequest, ReportMeta } from './kernels.ts'

interface EndedRun {
  readonly vitest: Vitest
  /** Milliseconds since 1970. */
  readonly startedMs: number
}

interface Asked {
  readonly module: TestModule
  readonly request: KernelRequest
}

/** Writes the reports that projects ask for: one for each directory. One that cannot be written fails the run. */
export async function writeReports(modules: readonly TestModule[], run: EndedRun): Promise<void> {
  const { logger, config } = run.vitest
  for (const [directory, asked] of askedFor(modules)) {
    try {
      const stepSummary = readSettings().environment['GITHUB_STEP_SUMMARY']
      const path = await writeReport(collected(asked, run), { directory: resolve(config.root, directory), stepSummary })
      logger.log(`testkernels report of the run: ${path}`)
    } catch (thrown) {
      logger.error(formatError(thrown))
      process.exitCode ||= 1
    }
  }
}

/** Test files by the directory of their report. */
function askedFor(modules: readonly TestModule[]): ReadonlyMap<string, readonly Asked[]> {
  const asked = new Map<string, Asked[]>()
  for (const module of modules) {
    const request: KernelRequest | undefined = module.project.config.provide.testkernelsRequest
    if (request?.kernelReport === undefined) continue
    asked.set(request.kernelReport, [...(asked.get(request.kernelReport) ?? []), { module, request }])
  }
  return asked
}

function collected(asked: readonly Asked[], run: EndedRun) {
  // In the order of the matrix, and not in that in which test files ended. Projects may share entries.
  const inOrder = asked.map(({ request }) => request).toSorted((one, other) => one.place - other.place)
  const rows = new Map(inOrder.flatMap((request) => request.rows.map((row) => [row.name, row])))
  return reportOf({
    run: endedRun('vitest', run.startedMs),
    entries: parseMatrix([...rows.values()]).map(({ name, kernel, cgroup }) => ({
      name,
      kernel: kernelText(kernel),
      cgroup,
    })),
    files: asked.map((one) => fileRecord(one, run)),
  })
}

function fileRecord({ module, request }: Asked, { vitest, startedMs }: EndedRun): FileRecord {
  const { children } = module
  const suites = [...children.allSuites()]
  const errors = [module, ...suites].flatMap((one) => one.errors()).map(errorText)
  const tests = [...children.allTests()].map((test) => testRecord(test, { request, startedMs }))
  const file: TestRecord = {
    name: '',
    entries: request.rows.map(({ name }) => name),
    verdict: errors.length > 0 ? 'failed' : 'passed',
    startedMs,
    ms: module.diagnostic().duration,
    tries: 1,
    failures: errors.length > 0 ? 1 : 0,
    errors,
    reports: [],
    console: '',
    hostnames: [],
  }
  return {
    file: relative(vitest.config.root, module.moduleId),
    vms: (module.meta() as ReportMeta).testkernelsVms ?? [],
    tests: [file, ...tests],
  }
}

interface OfProject {
  readonly request: KernelRequest
  readonly startedMs: number
}

function testRecord(test: TestCase, { request, startedMs }: OfProject): TestRecord {
  const { state, errors = [] } = test.result()
  const found = test.diagnostic()
  const ran = state === 'passed' || state === 'failed'
  const { untried = 0, ...told } = (test.meta() as ReportMeta).testkernelsTest ?? {}
  const retries = (found?.retryCount ?? 0) - untried
  return {
    reports: [],
    console: '',
    hostnames: [],
    ...told,
    ...placeOf(test.fullName, { scope: request.scope, kernels: request.rows }),
    // One that did not come to its turn, because the run was ended, did not run.
    verdict: ran ? state : 'skipped',
    startedMs: found?.startTime ?? startedMs,
    ms: found?.duration ?? 0,
    tries: ran ? 1 + retries + (found?.repeatCount ?? 0) : 0,
    failures: ran ? retries + (state === 'failed' ? 1 : 0) : 0,
    errors: errors.map(errorText),
  }
}

type TestError = ReturnType<TestModule['errors']>[number]

/** As Vitest prints it: what it says, in what values differ, and where in the tests it was. */
function errorText({ name, message, stack = '', diff }: TestError): string {
  const own = stack.split('\n').filter((line) => /^ +at /.test(line) && !line.includes('node_modules'))
  return [`${name ?? 'Error'}: ${message}`, diff, own.join('\n')].filter(Boolean).join('\n\n')
}
