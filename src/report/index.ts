import { randomBytes } from 'node:crypto'
import { appendFile, mkdir, readFile, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { TestkernelsError } from '../errors/index.ts'
import { replaceFile } from '../files/index.ts'
import { mergeReports, ReportUnusableError } from './collect.ts'
import { htmlOf } from './html.ts'
import { markdownOf } from './markdown.ts'
import { type ReportedRun, type RunReport, runReport } from './model.ts'

export { type FileRecord, ReportUnusableError, reportOf, type TestRecord } from './collect.ts'
export type { ReportedEntry, ReportedKernelReport, ReportedVm, RunReport } from './model.ts'

/** The directory of a report cannot be written. */
export class ReportNotWrittenError extends TestkernelsError {
  readonly code = 'REPORT_NOT_WRITTEN'
}

/** A run that ends now. */
export function endedRun(runner: ReportedRun['runner'], startedMs: number): ReportedRun {
  return { id: randomBytes(6).toString('hex'), runner, machine: hostname(), startedMs, endedMs: Date.now() }
}

/** What GitHub takes of one step: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands */
const MOST_SUMMARY_BYTES = 1024 * 1024

/**
 * Writes `report.html`, `report.json` and `report.md` into a directory, which is made where it is not there.
 * @param stepSummary a file that gets the Markdown as well: GITHUB_STEP_SUMMARY
 * @returns the path of the page
 * @throws ReportNotWrittenError
 */
export async function writeReport(
  report: RunReport,
  { directory, stepSummary }: { readonly directory: string; readonly stepSummary?: string | undefined },
): Promise<string> {
  const file = (name: string) => join(directory, name)
  try {
    await mkdir(directory, { recursive: true })
    await replaceFile(file('report.json'), `${JSON.stringify(report)}\n`)
    await replaceFile(file('report.md'), markdownOf(report, MOST_SUMMARY_BYTES))
    await replaceFile(file('report.html'), htmlOf(report))
    if (stepSummary) await appendFile(stepSummary, await summaryFor(report, stepSummary))
    return file('report.html')
  } catch (cause) {
    throw new ReportNotWrittenError({
      what: `the report cannot be written to ${directory}`,
      cause,
      remedy: 'name a directory that can be made and written by this user',
    })
  }
}

/** GitHub refuses all of a step's summary when it is too long. */
async function summaryFor(report: RunReport, path: string): Promise<string> {
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  return markdownOf(report, MOST_SUMMARY_BYTES - size - 1)
}

/**
 * Reads `report.json` of a directory.
 * @throws ReportUnusableError
 */
export async function readReport(directory: string): Promise<RunReport> {
  const path = join(directory, 'report.json')
  try {
    return v.parse(runReport, JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    throw new ReportUnusableError({
      what: `${path} is no report that this version of testkernels reads`,
      cause: v.isValiError(cause) ? `${v.getDotPath(cause.issues[0]) ?? 'it'}: ${cause.issues[0].message}` : cause,
      remedy: 'name directories that kernelReport or --report was given, of runs with this version',
    })
  }
}

/**
 * Merges the reports of several directories into one.
 * @returns the path of the page
 * @throws ReportUnusableError, ReportNotWrittenError
 */
export async function mergeDirectories(
  directories: readonly string[],
  written: Parameters<typeof writeReport>[1],
): Promise<string> {
  return await writeReport(mergeReports(await Promise.all(directories.map(readReport))), written)
}
