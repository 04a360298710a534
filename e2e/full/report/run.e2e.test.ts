// A report of a run on real VMs, of both test runners: what is known of each VM, and on which kernels a test fails.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readReport } from '../../../src/report/index.ts'
import { compare } from '../../../src/report/model.ts'
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
    expect(page.match(/<svg/g)?.length).toBeGreaterThanOrEqual(2)
    for (const { release = '', dockerd = '' } of report.vms) {
      expect(page).toContain(release)
      expect(page).toContain(dockerd)
    }
    expect(await readFile(join(directory, 'report.md'), 'utf8')).toContain('fails on v1; not on v2')
    await run.gone()
  },
)
