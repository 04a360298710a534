// A report of a run on real VMs, of both test runners: what is known of each VM, and on which kernels a test fails.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readReport } from '../../../src/report/index.ts'
import { compare, describeRow, frequency } from '../../../src/report/model.ts'
import { fixtureTar } from '../../support/env.ts'
import { jest } from '../../support/jest.ts'
import { vitest } from '../../support/run.ts'

const fixture = join(import.meta.dirname, '../../../fixtures/run-report')
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-report-'))
})
afterEach(() => rm(directory, { recursive: true }))

const runners = [
  { runner: 'vitest', start: vitest },
  { runner: 'jest', start: jest },
] as const

test.each(runners)(
  '$runner: releases, dockerds, accelerators, where the time of the starts went, and which kernels differ',
  async ({ runner, start }) => {
    // From the root of the configuration.
    const env = { REPORT: relative(fixture, directory) }
    await using run = await start('run-report', ['cgroup'], { env })
    expect(await run.program.exit, run.program.stderr).toEqual({ code: 1, signal: null })
    expect(run.program.stdout + run.program.stderr).toContain(
      `testkernels report of the run: ${join(directory, 'report.html')}`,
    )

    const report = await readReport(directory)
    expect(report.runs).toMatchObject([{ runner }])
    expect(report.entries).toEqual([
      { name: 'v1', kernel: 'debian:bookworm', cgroup: 1 },
      { name: 'v2', kernel: 'debian:trixie', cgroup: 2 },
    ])
    expect(report.vms).toHaveLength(2)
    for (const [entry, release, version] of [
      ['v1', /^6\.1\./, '1'],
      ['v2', /^6\.12\./, '2'],
    ] as const) {
      const vm = report.vms.find((one) => one.entry === entry)
      expect(vm).toMatchObject({
        hostname: entry,
        release: expect.stringMatching(release),
        dockerd: expect.stringMatching(/^\d+\.\d+/),
        accelerator: expect.stringMatching(/^(kvm|tcg)$/),
        cgroup: { version, driver: 'cgroupfs' },
        reports: [],
      })
      expect(vm?.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['engine', 'door', 'identity']))
      for (const { fromMs, toMs } of vm?.steps ?? []) expect(toMs).toBeGreaterThanOrEqual(fromMs)
    }
    const rows = compare(report).map(({ kind, name, cells }) => [kind, name, ...cells.map((cell) => cell?.verdict)])
    expect(rows).toEqual([
      ['differs', 'has cgroup v2', 'failed', 'passed'],
      ['passes', 'has a dockerd', 'passed', 'passed'],
    ])
    const failed = report.tests
      .find(({ name }) => name === 'has cgroup v2')
      ?.results.find(({ entry }) => entry === 'v1')
    expect(failed).toMatchObject({ errors: [expect.stringContaining('2')], vms: [expect.stringMatching(/\/v1$/)] })

    const page = await readFile(join(directory, 'report.html'), 'utf8')
    // Each start is a drawing of its steps.
    expect(page.match(/<svg class="steps"/g)).toHaveLength(2)
    for (const { release = '', dockerd = '' } of report.vms) {
      expect(page).toContain(release)
      expect(page).toContain(dockerd)
    }
    expect(await readFile(join(directory, 'report.md'), 'utf8')).toContain('fails on v1; not on v2')
    await run.gone()
  },
)

test.each(runners)(
  '$runner: tried again on fresh VMs, what was left from before is told from what a kernel does not have',
  async ({ start }) => {
    const env = { REPORT: relative(fixture, directory), RETRY_ON: 'fresh-vm', FIXTURE_TAR: fixtureTar }
    await using run = await start('run-report', ['retry'], { env })
    expect(await run.program.exit, run.program.stderr).toEqual({ code: 1, signal: null })

    const report = await readReport(directory)
    const rows = compare(report)
    expect(rows.map(({ kind, name, cells }) => [kind, name, ...cells.map((cell) => cell && frequency(cell))])).toEqual([
      ['differs', 'has cgroup v2', 'always', 'never'],
      ['flaky', 'is alone', '1 of 2', '1 of 2'],
      ['passes', 'leaves a volume', 'never', 'never'],
      ['passes', 'is on the VM from before', 'never', 'never'],
    ])
    expect(rows[0] && describeRow(rows[0])).toBe('fails always on v1; never on v2')
    const vmsOf = (name: string, on: string) =>
      report.tests
        .find((one) => one.name === name)
        ?.results.find(({ entry }) => entry === on)
        ?.vms.map((id) => report.vms.find((vm) => vm.id === id))
    for (const { name: entry } of report.entries) {
      const tried = vmsOf('is alone', entry)
      expect(tried).toMatchObject([{ hostname: entry }, { hostname: expect.stringMatching(`^${entry}-[0-9a-f]{6}$`) }])
      expect(tried?.[1]).toMatchObject({ release: tried?.[0]?.release, dockerd: tried?.[0]?.dockerd })
      expect(vmsOf('is on the VM from before', entry)).toMatchObject([{ hostname: entry }])
    }
    expect(vmsOf('has cgroup v2', 'v1')).toHaveLength(2)
    await run.gone()
  },
)
