import { join } from 'node:path'
import { writeJestReport } from '../../src/jest/file-record.ts'
import type { RetryOn } from '../../src/options/index.ts'
import { type RunReport, readReport } from '../../src/report/index.ts'
import { inTerminal, Run, type RunOptions } from './run.ts'

const root = join(import.meta.dirname, '../..')

export interface JestOptions extends RunOptions {
  /** Whether it has a terminal of its own. */
  readonly terminal?: boolean
}

/** `jest ARGS` in a fixture's directory. */
export function jest(
  fixture: string,
  args: readonly string[],
  { terminal = false, ...options }: JestOptions = {},
): Promise<Run> {
  const cli = join(root, 'node_modules/jest/bin/jest.js')
  const argv = [process.execPath, cli, ...args]
  return Run.start(terminal ? inTerminal(argv) : argv, {
    ...options,
    cwd: join(root, 'fixtures', fixture),
    env: { NO_COLOR: '1', ...options.env },
  })
}

/** What Jest's global teardown makes of the records of the fixture fake-kernel's test files. @param directory gets the report */
export async function reportOf(records: string, directory: string, retryOn: RetryOn = 'same-vm'): Promise<RunReport> {
  const rows = [{ name: 'fake', kernel: 'debian:trixie' }]
  const asked = {
    place: 0,
    scope: 'project',
    isolation: 'project',
    retryOn,
    keepOnFailure: false,
    kernelReport: directory,
  } as const
  await writeJestReport([{ request: { id: 'fake', rows, ...asked }, records, startedMs: Date.now() }], directory)
  return await readReport(directory)
}
