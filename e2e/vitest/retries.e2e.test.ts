// Which VM a test is on that is tried again, in both test runners: on VMs that are none. On real ones it is in e2e/full/report.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { cleanUp, serve } from '../../src/matrix/testing/lease-service.ts'
import { type RunReport, readReport } from '../../src/report/index.ts'
import { jest, reportOf } from '../support/jest.ts'
import { vitest } from '../support/run.ts'

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

async function inVitest(filter: string) {
  const { server, living, entrances } = await serve('project', { retryOn: 'fresh-vm' })
  const env = { FATES: '{"fake":""}', LEASES: server.socket, REPORT: directory }
  await using run = await vitest('fake-kernel', [filter], { env })
  const exit = await run.program.exit
  await expect.poll(() => [[...living], entrances]).toEqual([['v2'], []])
  return { exit, stderr: run.program.stderr, tries: triesOf(await readReport(directory)) }
}

async function inJest(filter: string) {
  const { server, living, entrances } = await serve('project', { retryOn: 'fresh-vm' })
  const records = join(directory, 'records')
  await mkdir(records)
  await using run = await jest('fake-kernel', [filter], { env: { LEASES: server.socket, RECORDS: records } })
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

test('Vitest: after a test that skips itself when it is tried again, the next is on the VM from before', {
  timeout: 120_000,
}, async () => {
  const { exit, stderr, tries } = await inVitest('skipping.test')
  expect(exit, stderr).toEqual({ code: 0, signal: null })
  expect(tries).toMatchObject({ 'passes after it': ['passed', '0 of 1', 'v2'] })
})
