// A real kernel that reports faults, by a module of the fixture's rootfs; see src/kernel-log and src/matrix/report-server.ts.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { baseImage, fixtureTar } from '../../support/env.ts'
import { expectKernelReports } from '../../support/false-alarms.ts'
import { jest } from '../../support/jest.ts'
import { type Run, vitest } from '../../support/run.ts'

expectKernelReports()

const env = { BASE: baseImage, FIXTURE_TAR: fixtureTar }
const title = 'WARNING in provoke_warning (/module/provoke.c)'
const files = ['second', 'concurrent', 'between']

function says(when: string): string {
  return `KernelReportedError [KERNEL_REPORTED]: one: the kernel reported ${title} on debian:trixie, cgroup v2, ${when}`
}

async function outputOf(run: Run): Promise<string> {
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  await run.gone()
  return run.program.stdout + run.program.stderr
}

/** The reports, each failure once: the runner prints some in more places than one. */
function reportsIn(output: string): string[] {
  return [...new Set(output.match(/KernelReportedError \[KERNEL_REPORTED\]: .*/g))].sort()
}

const expected = [
  says("while 'second' ran"),
  says("while 2 tests ran: 'one that provokes', 'one beside it'"),
  says('while no test ran'),
].sort()

test.each([
  { mode: ['--pool', 'forks'] },
  { mode: ['--pool', 'threads'] },
  { mode: ['--pool', 'vmThreads'] },
  { mode: ['--pool', 'forks', '--no-isolate', '--no-file-parallelism'] },
])('Vitest $mode fails the test that caused the report', async ({ mode }) => {
  await using run = await vitest('kernel-reports', [...mode, '--reporter', 'verbose', ...files], { env })
  const output = await outputOf(run)
  for (const name of ['first', 'third', 'fourth'])
    expect(output).toMatch(new RegExp(`✓ .*second.test.cjs > ${name}\\b`))
  expect(output).toMatch(/✓ .*concurrent.test.cjs > one after both/)
  expect(output).toMatch(/✓ .*between.test.cjs > passes/)
  expect(reportsIn(output)).toEqual(expected)
  expect(output).toContain('provoke_write')
  expect(output).toMatch(/^ +Tests +3 failed \| 5 passed \(8\)$/m)
  expect(output).toMatch(/^ Test Files +3 failed \(3\)$/m)
})

test.each([{ mode: ['--runInBand'] }, { mode: ['--maxWorkers', '2'] }])('Jest $mode as well', async ({ mode }) => {
  await using run = await jest('kernel-reports', [...mode, '--verbose', ...files], { env })
  const output = await outputOf(run)
  for (const name of ['first', 'third', 'fourth', 'one after both']) expect(output).toMatch(new RegExp(`✓ ${name}`))
  for (const name of ['second', 'one that provokes', 'one beside it']) expect(output).toMatch(new RegExp(`✕ ${name}`))
  expect(reportsIn(output)).toEqual(expected)
  expect(output).toMatch(/^Test Suites: 3 failed, 3 total$/m)
})

test.each([
  { runner: 'Vitest', start: vitest, config: 'after/vitest.config.ts', passed: /^ +Tests +1 passed \(1\)$/m },
  // A project of the user's own is torn down before the one with the VM.
  { runner: 'Jest', start: jest, config: 'after/jest.config.cjs', passed: /^Tests: +2 passed, 2 total$/m },
])('$runner: a report that comes after the last test file fails the run', async ({ start, config, passed }) => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-after-'))
  try {
    await using run = await start('kernel-reports', ['--config', config], {
      env: { ...env, VM: join(directory, 'vm') },
    })
    const output = await outputOf(run)
    expect(output).toContain(
      `the kernel reported ${title} on debian:trixie, cgroup v2, while no test file was under way`,
    )
    expect(output).toContain('provoke_write')
    expect(output).toMatch(passed)
  } finally {
    await rm(directory, { recursive: true })
  }
})
