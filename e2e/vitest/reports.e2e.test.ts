// What kernels report is the failure of the right test, in every mode: on a VM that is played. Real kernels are in e2e/full/reports.
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReportServers } from '../../src/matrix/report-server.ts'
import { expectKernelReports } from '../support/false-alarms.ts'
import { jest } from '../support/jest.ts'
import { PlayedVm } from '../support/played-vm.ts'
import { vitest } from '../support/run.ts'

expectKernelReports()

/** For a test runner to begin, on a busy machine. */
const DEADLINE_MS = 120_000
let directory: string
let env: { FATE: string; PROVOKE: string }
let vm: PlayedVm
let servers: ReportServers

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-reports-'))
  env = { FATE: join(directory, 'fate.json'), PROVOKE: join(directory, 'provoke') }
  vm = new PlayedVm(env.PROVOKE, 'fake', { kmemleak: true })
  servers = new ReportServers(async () => directory)
  const kernel = { name: 'fake', kernel: 'debian:trixie', cgroup: 2, dockerHost: 'unix:///nowhere', environment: {} }
  await writeFile(env.FATE, JSON.stringify({ kernel, reports: await servers.socketFor(vm) }))
})

afterEach(async () => {
  await servers.end(vm)
  await rm(directory, { recursive: true })
})

const modes = [
  { runner: 'vitest', mode: ['--pool', 'forks'] },
  { runner: 'vitest', mode: ['--pool', 'threads'] },
  { runner: 'vitest', mode: ['--pool', 'vmThreads'] },
  { runner: 'vitest', mode: ['--pool', 'threads', '--no-isolate'] },
  { runner: 'jest', mode: ['--runInBand'] },
  { runner: 'jest', mode: ['--maxWorkers', '2', '--ci'] },
] as const

async function outputOf({ runner, mode }: (typeof modes)[number], file: string): Promise<string> {
  const start = runner === 'vitest' ? vitest : jest
  await using run = await start('fake-kernel', [...mode, file], { env })
  await run.program.exit
  return run.program.stdout + run.program.stderr
}

/** Title of each report, and when it came. */
function reportsIn(output: string): string[] {
  const found = output.matchAll(/the kernel reported (\S+) on debian:trixie, cgroup v2, (.*)/g)
  return [...new Set([...found].map(([, title, when]) => `${title}: ${when}`))].sort()
}

test.each(modes)('$runner $mode names the test during which a report came', async (each) => {
  const output = await outputOf(each, 'tests.test')
  expect(reportsIn(output), output).toEqual([
    'before: while no test ran',
    "failing: while 'expected to fail' ran",
    "hook: while 'in a block > with a hook' ran",
    "second: while 'second' ran",
    "timers: while 'with timers of its own' ran",
  ])
  expect(output).toMatch(
    each.runner === 'vitest' ? /Tests +4 failed \| 3 passed \| 1 skipped/ : /Tests: +4 failed, 1 skipped, 3 passed/,
  )
  // What the VM is kept for, where it is to be.
  expect(existsSync(`${env.FATE}.failed`)).toBe(true)
})

test.each(modes)('$runner $mode names all that ran at the same time', async (each) => {
  const output = await outputOf(each, 'concurrent.test')
  expect(reportsIn(output), output).toEqual(["concurrent: while 2 tests ran: 'one', 'other'"])
  expect(output).toMatch(/Tests:? +2 failed/)
})

test.each(modes)('$runner $mode asks nobody about tests of nothing', async (each) => {
  const output = await outputOf(each, 'nothing.test')
  expect(output).toMatch(/Tests:? +1000 passed/)
  console.log(`${each.runner}: ${/each took .*/.exec(output)?.[0]}, ${vm.settles} questions`)
  // A busy machine may take a millisecond for one; not for half of them.
  expect(vm.settles).toBeLessThan(500)
  expect(existsSync(`${env.FATE}.failed`)).toBe(false)
})

test('a run that is called off in watch mode waits for no look for lost memory', async () => {
  vm.looking = new Promise(() => {})
  await using run = await vitest('fake-kernel', ['nothing.test'], { command: 'watch', terminal: true, env })
  await expect.poll(() => vm.looks, { timeout: DEADLINE_MS }).toBe(1)
  run.program.type('c')
  await run.program.printed('stdout', /CANCELLED/)
  run.program.type('q')
  expect((await run.program.exit).signal).toBeNull()
  expect(run.program.stdout).not.toContain('timed out')
})
