// The report of a run, of both test runners: on VMs that are played. What it looks like in a browser is in e2e/full/report.

import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ReportServers } from '../../src/matrix/report-server.ts'
import { mergeDirectories, type RunReport, readReport } from '../../src/report/index.ts'
import { compare, type Row } from '../../src/report/model.ts'
import { expectKernelReports } from '../support/false-alarms.ts'
import { jest, reportOf } from '../support/jest.ts'
import { PlayedVm } from '../support/played-vm.ts'
import { vitest } from '../support/run.ts'

expectKernelReports()

let directory: string
const cleanUps: (() => unknown)[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-run-report-'))
})

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
  await rm(directory, { recursive: true })
})

/** @returns the file that workers hear of it from */
async function play(name: string, environment: Readonly<Record<string, string>>): Promise<string> {
  const own = join(directory, name)
  await mkdir(own)
  const file = (kind: string) => join(own, kind)
  const vm = new PlayedVm(file('provoke'), name)
  const servers = new ReportServers(async () => own)
  cleanUps.push(() => servers.end(vm))
  const dockerd = createServer((_, response) => {
    response.end(JSON.stringify({ ServerVersion: '26.1.5', CgroupVersion: '2', CgroupDriver: 'cgroupfs' }))
  })
  await listening(dockerd, file('docker.sock'))
  await writeFile(file('console'), 'from the boot\n')
  const dockerHost = `unix://${file('docker.sock')}`
  const set = {
    ...environment,
    DOCKER_HOST: dockerHost,
    PROVOKE: file('provoke'),
    ONCE: file('once'),
    CONSOLE: file('console'),
  }
  const kernel = { name, kernel: 'debian:trixie', cgroup: 2, dockerHost, environment: set }
  const steps = [{ name: 'container', fromMs: 10, toMs: 240 }]
  const facts = { hostname: name, release: '6.12.57', accelerator: 'kvm', steps, consolePath: file('console') }
  await writeFile(file('fate.json'), JSON.stringify({ kernel, facts, reports: await servers.socketFor(vm) }))
  return file('fate.json')
}

function listening(server: Server, path: string): Promise<void> {
  cleanUps.push(() => server.close())
  return new Promise((resolve) => server.listen(path, resolve))
}

const kindsOf = (report: RunReport) => Object.fromEntries(compare(report).map(({ name, kind }: Row) => [name, kind]))
const hostile = 'limits > are </script><img src=x onerror=alert(1)> `|` to nobody'

test('Vitest writes what tests did on all kernels, and the summary of a step', { timeout: 120_000 }, async () => {
  const FATES = JSON.stringify({ healthy: await play('healthy', {}), ill: await play('ill', { FAILS: '1' }) })
  const GITHUB_STEP_SUMMARY = join(directory, 'summary.md')
  await appendFile(GITHUB_STEP_SUMMARY, '# of another tool\n')
  const reports = join(directory, 'report')
  await using run = await vitest('fake-kernel', ['report.test'], {
    env: { FATES, REPORT: reports, GITHUB_STEP_SUMMARY },
  })
  await run.program.exit
  const output = run.program.stdout + run.program.stderr
  expect(output).toContain(`testkernels report of the run: ${join(reports, 'report.html')}`)

  const report = await readReport(reports)
  expect(report.entries).toEqual(['healthy', 'ill'].map((name) => ({ name, kernel: 'debian:trixie', cgroup: 2 })))
  expect(kindsOf(report)).toEqual({
    'limits > hold on some': 'differs',
    'the kernel minds': 'differs',
    [hostile]: 'fails',
    'is flaky': 'flaky',
    'limits > hold on all': 'passes',
    'limits > are not asked for': 'skipped',
  })
  const resultOf = (name: string, entry: string) =>
    report.tests.find((one) => one.name === name)?.results.find((one) => one.entry === entry)
  expect(resultOf('limits > hold on some', 'ill')).toMatchObject({
    verdict: 'failed',
    errors: [expect.stringContaining('</script><script>alert(1)</script>')],
    console: 'oom-killer\n',
    vms: [expect.stringMatching(/\/ill$/)],
  })
  expect(resultOf('limits > hold on some', 'healthy')).toMatchObject({ verdict: 'passed', console: '' })
  expect(resultOf('the kernel minds', 'ill')?.reports).toMatchObject([{ title: 'KASAN: slab-use-after-free in f' }])
  expect(resultOf('is flaky', 'ill')).toMatchObject({ verdict: 'passed', tries: 2, failures: 1 })
  expect(report.vms.find(({ hostname }) => hostname === 'ill')).toMatchObject({
    release: '6.12.57',
    dockerd: '26.1.5',
    cgroup: { version: '2', driver: 'cgroupfs' },
    accelerator: 'kvm',
    steps: [{ name: 'container', fromMs: 10, toMs: 240 }],
    reports: [{ title: 'KASAN: slab-use-after-free in f', verdict: 'fail' }],
    console: expect.stringContaining('from the boot'),
  })

  const page = await readFile(join(reports, 'report.html'), 'utf8')
  for (const harmful of ['<script', '<img', '\u001b']) expect(page).not.toContain(harmful)
  expect(page).toContain('&lt;img src=x onerror=alert(1)&gt;')
  const summary = await readFile(GITHUB_STEP_SUMMARY, 'utf8')
  expect(summary).toMatch(/^# of another tool\n## Tests by kernels/)
  expect(summary).not.toContain('<img')
})

test('Jest leaves records of its test files, of which a report is made', { timeout: 120_000 }, async () => {
  const FATE = await play('fake', { FAILS: '1' })
  const records = join(directory, 'records')
  await mkdir(records)
  await using run = await jest('fake-kernel', ['report.test'], { env: { FATE, RECORDS: records } })
  await run.program.exit
  const report = await reportOf(records, join(directory, 'report'))
  const [run0] = report.runs
  expect(run0?.runner).toBe('jest')
  const verdicts = report.tests.map(({ file, name, results }) => [file.replace(/.*\//, ''), name, results[0]?.verdict])
  expect(verdicts, run.program.stderr).toEqual(
    expect.arrayContaining([
      ['report.test.cjs', '', 'passed'],
      ['report.test.cjs', 'limits > hold on some', 'failed'],
      ['report.test.cjs', 'the kernel minds', 'failed'],
      ['report.test.cjs', hostile, 'failed'],
      ['report.test.cjs', 'limits > hold on all', 'passed'],
      ['report.test.cjs', 'limits > are not asked for', 'skipped'],
    ]),
  )
  const flaky = report.tests.find(({ name }) => name === 'is flaky')
  expect(flaky?.results).toMatchObject([{ verdict: 'passed', tries: 2, failures: 1 }])
  expect(report.vms).toMatchObject([
    { hostname: 'fake', dockerd: '26.1.5', reports: [{ title: 'KASAN: slab-use-after-free in f' }] },
  ])

  // The same run again, and what is merged from nothing but itself is itself.
  await mergeDirectories([join(directory, 'report'), join(directory, 'report')], {
    directory: join(directory, 'merged'),
  })
  expect(await readReport(join(directory, 'merged'))).toEqual(report)
})
