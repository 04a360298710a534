// Faults that a kernel from source is provoked to, one kind on each entry: the test that does it fails with the report's title and the places in the
// source, the others pass, in every mode of both runners; what it has lost fails the file. Compiles a kernel first, which takes the better part of an hour.
import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { expectKernelReports } from '../../support/false-alarms.ts'
import { jest } from '../../support/jest.ts'
import { vitest } from '../../support/run.ts'

expectKernelReports()

const TEST_TIMEOUT_MS = 3 * 3_600_000

/** By entry: what its kernel reports, and a function of the call trace with its place. */
const faults = {
  hung: ['hung task: sh', /schedule\+\S+ \(kernel\/sched\/core\.c:\d+\)/],
  kasan: [
    'KASAN: use-after-free in lkdtm_WRITE_AFTER_FREE',
    /lkdtm_WRITE_AFTER_FREE\S*\+\S+ \(drivers\/misc\/lkdtm\/heap\.c:\d+\)/,
  ],
  leak: ['memory leak in do_one_initcall', /do_one_initcall\+\S+ \(init\/main\.c:\d+\)/],
  lockdep: ['lockdep: possible circular locking dependency detected', /lib\/test_lockup\.c:\d+\)/],
  warn: [
    'WARNING in lkdtm_WARNING (drivers/misc/lkdtm/bugs.c)',
    /lkdtm_WARNING\+\S+ \(drivers\/misc\/lkdtm\/bugs\.c:\d+\)/,
  ],
} as const

const expected = Object.entries(faults).map(
  ([entry, [title]]) => `${entry}: ${title}${entry === 'leak' ? '' : ", while 'second' ran"}`,
)

/** Entry, title and when it came. */
function reportsIn(output: string): string[] {
  const found = output.matchAll(
    /\[KERNEL_REPORTED\]: (\w+): the kernel reported (.*) on source:debian\/bookworm with .*, cgroup v2(.*)/g,
  )
  return [...new Set([...found].map(([, entry, title, when]) => `${entry}: ${title}${when}`))].sort()
}

test.each([
  { runner: 'vitest', mode: ['--pool', 'forks'] },
  { runner: 'vitest', mode: ['--pool', 'threads'] },
  { runner: 'vitest', mode: ['--pool', 'vmThreads'] },
  { runner: 'vitest', mode: ['--pool', 'forks', '--no-isolate', '--no-file-parallelism'] },
  { runner: 'jest', mode: ['--runInBand'] },
  { runner: 'jest', mode: ['--maxWorkers', '2'] },
] as const)('$runner $mode', { timeout: TEST_TIMEOUT_MS }, async ({ runner, mode }) => {
  const env = { FIXTURE_TAR: fixtureTar }
  const [start, verbose] = runner === 'vitest' ? [vitest, ['--reporter', 'verbose']] : [jest, ['--verbose']]
  await using run = await start('kernel-faults', [...mode, ...verbose], { env })
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  await run.gone()
  const output = run.program.stdout + run.program.stderr
  expect(reportsIn(output), output).toEqual(expected)
  for (const [, place] of Object.values(faults)) expect(output).toMatch(place)
  expect(output).toMatch(
    runner === 'vitest' ? /Tests +4 failed \| 11 passed \(15\)/ : /Tests: +4 failed, 11 passed, 15 total/,
  )
  expect(output).toMatch(runner === 'vitest' ? /Test Files +5 failed \(5\)/ : /Test Suites: 5 failed, 5 total/)
})
