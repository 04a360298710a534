// Which VM a test is on that is tried again, in both test runners: on VMs that are none. On real ones it is in e2e/full/report.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReportServers } from '../../src/matrix/report-server.ts'
import { cleanUp, serve } from '../../src/matrix/testing/lease-service.ts'
import type { RetryOn } from '../../src/options/index.ts'
import { type RunReport, readReport } from '../../src/report/index.ts'
import { expectKernelReports } from '../support/false-alarms.ts'
import { jest, reportOf } from '../support/jest.ts'
import { PlayedVm } from '../support/played-vm.ts'
import { vitest } from '../support/run.ts'

expectKernelReports()

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-retries-'))
})
afterEach(async () => {
  await cleanUp()
  await rm(directory, { recursive: true })
})

/** How often each test failed, and the VMs that it was on. */
function triesOf(report: RunReport) {
  const hostnames = (ids: readonly string[]) => ids.map((id) => id.replace(/.*\//, ''))
  return Object.fromEntries(
    report.tests.flatMap(({ name, results }) =>
      results.map(({ verdict, tries, failures, vms }) => [
        name,
        [verdict, `${failures} of ${tries}`, ...hostnames(vms)],
      ]),
    ),
  )
}

const expected = {
  passes: ['passed', '0 of 1', 'v2'],
  'fails twice': ['passed', '2 of 3', 'v2', 'v2-1', 'v2-2'],
  'passes as well': ['passed', '0 of 1', 'v2'],
  'fails always': ['failed', '3 of 3', 'v2', 'v2-3', 'v2-4'],
}

const besides = { 'a suite > fails once': ['passed', '1 of 2', 'v2'], 'another > passes': ['passed', '0 of 1', 'v2'] }

interface Mode {
  /** @default 'fresh-vm' */
  readonly retryOn?: RetryOn
  /** The tests' functions, in the order in which they are run, where a test reads it. */
  readonly runs?: readonly string[]
}

/** VMs whose kernels report what tests provoke. */
async function serveVms({ retryOn = 'fresh-vm', runs = [] }: Mode) {
  const provoke = join(directory, 'provoke')
  const servers = new ReportServers(async () => directory)
  const vms = new Map<string, PlayedVm>()
  const reportsOf = (hostname: string) => {
    const vm = vms.get(hostname) ?? new PlayedVm(provoke, hostname)
    vms.set(hostname, vm)
    return servers.socketFor(vm)
  }
  const service = await serve('project', { retryOn, reportsOf })
  const env = { LEASES: service.server.socket, RETRY_ON: retryOn, PROVOKE: provoke, RUNS: JSON.stringify(runs) }
  const end = async () => {
    for (const vm of vms.values()) await servers.end(vm)
  }
  return { ...service, env, [Symbol.asyncDispose]: end }
}

async function inVitest(filter: string, mode: Mode = {}) {
  await using vms = await serveVms(mode)
  const { living, entrances } = vms
  const env = { ...vms.env, FATES: '{"fake":""}', REPORT: directory }
  await using run = await vitest('fake-kernel', [filter], { env })
  const exit = await run.program.exit
  await expect.poll(() => [[...living], entrances]).toEqual([['v2'], []])
  return { exit, stderr: run.program.stderr, tries: triesOf(await readReport(directory)) }
}

async function inJest(filter: string, mode: Mode = {}) {
  await using vms = await serveVms(mode)
  const { living, entrances } = vms
  const records = join(directory, 'records')
  await mkdir(records)
  await using run = await jest('fake-kernel', [filter], { env: { ...vms.env, RECORDS: records } })
  const exit = await run.program.exit
  await expect.poll(() => [[...living], entrances]).toEqual([['v2'], []])
  const report = await reportOf(records, directory, 'fresh-vm')
  return { exit, stderr: run.program.stderr, tries: triesOf(report) }
}

const runners = [
  { runner: 'Vitest', run: inVitest },
  { runner: 'Jest', run: inJest },
]

test.each(runners)(
  '$runner: each try is on a fork, and the tests after it are on the VM from before',
  {
    timeout: 120_000,
  },
  async ({ run }) => {
    const { exit, stderr, tries } = await run('retry.test')
    expect(exit, stderr).toEqual({ code: 1, signal: null })
    expect(tries).toMatchObject(expected)
  },
)

test.each(runners)(
  '$runner: where tests run beside others, none is taken to another VM',
  {
    timeout: 120_000,
  },
  async ({ run }) => {
    const { exit, stderr, tries } = await run('beside.test')
    expect(exit, stderr).toEqual({ code: 0, signal: null })
    expect(tries).toMatchObject(besides)
  },
)

const reported = [
  {
    retryOn: 'same-vm',
    code: 1,
    runs: ['passes', 'fails'],
    expected: {
      'passes but for its kernel': ['failed', '1 of 1', 'v2'],
      'fails as its kernel does': ['failed', '1 of 1', 'v2'],
    },
  },
  {
    retryOn: 'fresh-vm',
    code: 0,
    runs: ['passes', 'passes', 'fails', 'fails'],
    expected: {
      'passes but for its kernel': ['passed', '1 of 2', 'v2', 'v2-1'],
      'fails as its kernel does': ['passed', '1 of 2', 'v2', 'v2-2'],
    },
  },
] as const

test.each(runners.flatMap((runner) => reported.map((mode) => ({ ...runner, ...mode }))))(
  '$runner: what a kernel reported fails its try, and there is another on a fresh VM alone: $retryOn',
  {
    timeout: 120_000,
  },
  async ({ run, retryOn, runs, code, expected }) => {
    const { exit, stderr, tries } = await run('reported.test', { retryOn, runs })
    expect(exit, stderr).toEqual({ code, signal: null })
    expect(tries).toMatchObject({ ...expected, 'were run so often': ['passed', '0 of 1', 'v2'] })
  },
)

test('Vitest: after a test that skips itself when it is tried again, the next is on the VM from before', {
  timeout: 120_000,
}, async () => {
  const { exit, stderr, tries } = await inVitest('skipping.test')
  expect(exit, stderr).toEqual({ code: 0, signal: null })
  expect(tries).toMatchObject({ 'passes after it': ['passed', '0 of 1', 'v2'] })
})
