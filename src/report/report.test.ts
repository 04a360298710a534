import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sampleReport } from '../../fixtures/report/sample-report.ts'
import { type FileRecord, mergeReports, reportOf, type TestRecord } from './collect.ts'
import { htmlOf } from './html.ts'
import { mergeDirectories, readReport, writeReport } from './index.ts'
import { markdownOf } from './markdown.ts'
import { compare, describeRow } from './model.ts'

const entries = ['v1', 'v2'].map((name) => ({ name, kernel: 'debian:trixie', cgroup: 2 }) as const)
const run = { id: 'r', runner: 'vitest', machine: 'm', startedMs: 0, endedMs: 1000 } as const

function told(name: string, entry: string, more: Partial<TestRecord> = {}): TestRecord {
  const passed = { verdict: 'passed', startedMs: 0, ms: 1, tries: 1, failures: 0 } as const
  return { name, entries: [entry], ...passed, errors: [], reports: [], console: '', hostnames: [entry], ...more }
}
const failed = { verdict: 'failed', failures: 1, errors: ['Error: no'] } satisfies Partial<TestRecord>
const skipped = { verdict: 'skipped', tries: 0 } satisfies Partial<TestRecord>

function of(tests: readonly TestRecord[], { id = 'r', vms = [] }: { id?: string; vms?: FileRecord['vms'] } = {}) {
  return reportOf({ run: { ...run, id }, entries, files: [{ file: 'a.test.ts', vms, tests }] })
}

describe('compare', () => {
  test('what kernels differ in comes first, then what fails on all, what is flaky, what runs on some', () => {
    const both = (name: string, one: Partial<TestRecord>, other: Partial<TestRecord>) => [
      told(name, 'v1', one),
      told(name, 'v2', other),
    ]
    const report = of([
      ...both('passes', {}, {}),
      ...both('nowhere', skipped, skipped),
      ...both('some', {}, skipped),
      ...both('flaky', {}, { tries: 10, failures: 3 }),
      ...both('all', failed, failed),
      ...both('differs', {}, failed),
      ...both('', {}, {}),
    ])
    expect(compare(report).map(({ name, kind }) => [name, kind])).toEqual([
      ['differs', 'differs'],
      ['all', 'fails'],
      ['flaky', 'flaky'],
      ['some', 'skips'],
      ['passes', 'passes'],
      ['nowhere', 'skipped'],
    ])
  })

  test.each([
    { v1: { tries: 1, failures: 0 }, v2: { tries: 1, failures: 1 }, says: 'fails on v2; not on v1' },
    { v1: { tries: 3, failures: 0 }, v2: { tries: 3, failures: 3 }, says: 'fails always on v2; never on v1' },
    { v1: { tries: 10, failures: 3 }, v2: { tries: 10, failures: 0 }, says: 'fails 3 of 10 on v1; never on v2' },
  ])('$says', ({ v1, v2, says }) => {
    const [row] = compare(of([told('t', 'v1', v1), told('t', 'v2', v2)]))
    expect(row && describeRow(row)).toBe(says)
  })

  test('a failure outside of the tests is a row of its file', () => {
    const rows = compare(of([told('', 'v1'), told('', 'v2', failed)]))
    expect(rows).toMatchObject([{ name: '', kind: 'differs', cells: [{ verdict: 'passed' }, { verdict: 'failed' }] }])
  })
})

describe('reportOf', () => {
  test('two tests of one name are two tests', () => {
    expect(of([told('t', 'v1'), told('t', 'v1', failed), told('t', 'v2')]).tests).toMatchObject([
      { name: 't', results: [{ entry: 'v1', verdict: 'passed' }, { entry: 'v2' }] },
      { name: 't (2)', results: [{ entry: 'v1', verdict: 'failed' }] },
    ])
  })

  test('a console is kept to its last whole lines, an error to its beginning', () => {
    const console = `${'x'.repeat(50)}\n`.repeat(1000)
    const [one] = of([told('t', 'v1', { ...failed, errors: ['e'.repeat(1e6)], console })]).tests
    const [result] = one?.results ?? []
    expect(result?.console.length).toBeLessThanOrEqual(8192)
    expect(result?.console).toMatch(/^x{50}\n/)
    expect(result?.errors[0]).toMatch(/^e+\n\[\d+ more characters\]$/)
  })
})

describe('mergeReports', () => {
  test('shards make up one report; of the same test both results are kept, and the last decides', () => {
    const early = of([told('t', 'v1', { ...failed, startedMs: 1 }), told('a', 'v1')], { id: 'early' })
    const late = of([told('t', 'v1', { startedMs: 2 }), told('b', 'v1')], { id: 'late' })
    const merged = mergeReports([late, early])
    expect(merged.tests.map(({ name }) => name).toSorted()).toEqual(['a', 'b', 't'])
    const row = compare(merged).find(({ name }) => name === 't')
    expect(row).toMatchObject({ kind: 'flaky', cells: [{ verdict: 'passed', tries: 2, failures: 1 }, undefined] })
    expect(mergeReports([merged, early, late])).toEqual(merged)
  })

  test('an entry cannot be two kernels', () => {
    const other = { ...of([]), entries: [{ name: 'v1', kernel: 'debian:sid', cgroup: 2 } as const] }
    expect(() => mergeReports([of([]), other])).toThrow(
      "the entry 'v1' is debian:trixie, cgroup v2, in one report, and debian:sid, cgroup v2, in another",
    )
  })
})

describe('pages', () => {
  const nasty = '</script></style><img src=x onerror=alert(1)> " \' `|` \x1b[31m'
  const vm = { entry: 'v1', hostname: nasty, release: nasty, steps: [{ name: nasty, fromMs: 0, toMs: 5 }] } as const
  const kernelReport = { kind: 'bug', title: nasty, block: nasty, verdict: 'fail', uptimeS: 1 } as const
  const hostile = reportOf({
    run: { ...run, machine: nasty },
    entries: [{ name: 'v1', kernel: nasty, cgroup: 2 }],
    files: [
      {
        file: nasty,
        vms: [{ ...vm, steps: [...vm.steps], reports: [kernelReport], console: nasty }],
        tests: [
          told(nasty, nasty, { ...failed, errors: [nasty], console: nasty, reports: [kernelReport] }),
          told(nasty, 'v1', { hostnames: [nasty] }),
        ],
      },
    ],
  })

  test('nothing that others say is more than text', () => {
    const page = htmlOf(hostile)
    expect(page.match(/<\/style>/g)).toHaveLength(1)
    for (const harmful of ['<script', '</script', '<img', '\x1b']) expect(page).not.toContain(harmful)
    const summary = markdownOf(hostile, 1e6).replaceAll(/^(`{3,})text\n[\s\S]*?\n\1$/gm, '')
    for (const harmful of ['<img', '</script', '`', '\x1b']) expect(summary).not.toContain(harmful)
  })

  test('the page asks for nothing but itself', () => {
    const page = htmlOf(sampleReport({ tests: 50, kernels: 3 }))
    expect(page).toContain("default-src 'none'")
    expect(page).not.toMatch(/\b(?:src|href)="(?!#)|url\(|@import/)
  })

  test('a summary keeps to its limit, and says that it is cut', () => {
    const report = sampleReport({ tests: 1000, kernels: 8 })
    const whole = markdownOf(report, 1024 * 1024)
    const cut = markdownOf(report, 10_000)
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(10_000)
    expect(cut).toContain('report.html has all')
    expect(whole).not.toContain('report.html has all')
    expect(markdownOf(report, 5)).toBe('')
  })

  test('a file is counted among its tests where something failed outside of them', () => {
    const report = of([told('', 'v1', failed), told('', 'v2'), told('a', 'v1', failed), told('a', 'v2')])
    const summary = markdownOf(report, 1e6)
    expect(summary).toMatch(/\*\*v1\*\*.*\| 0 passed, 2 failed, 0 skipped \|/)
    expect(summary).toMatch(/\*\*v2\*\*.*\| 1 passed, 0 failed, 0 skipped \|/)
    const page = htmlOf(report)
    const counts = [...page.matchAll(/<span class="count">([^<]*)<svg/g)].map(([, text]) => text)
    expect(counts).toEqual(['0 passed, 2 failed', '1 passed'])
    expect(page).toContain('<small>1 test and 1 file</small>')
  })

  test('what a page has of details is bounded', () => {
    const error = 'e'.repeat(16_000)
    const tests = Array.from({ length: 1000 }, (_, at) => told(`t${at}`, 'v1', { ...failed, errors: [error] }))
    const page = htmlOf(of(tests))
    expect(page.length).toBeLessThan(6e6)
    expect(page).toContain('the rest of it is in report.json')
  })

  test('so is what it has of its VMs', () => {
    const block = 'b'.repeat(16_000)
    const reports = Array.from({ length: 100 }, (_, at) => ({ ...kernelReport, title: `WARNING in f${at}`, block }))
    const vms = Array.from({ length: 50 }, (_, at) => ({
      ...{ ...vm, hostname: `v${at}`, steps: [...vm.steps], console: '' },
      reports,
    }))
    const hostnames = vms.map(({ hostname }) => hostname)
    const page = htmlOf(of([told('t', 'v1', { hostnames })], { vms }))
    expect(page.length).toBeLessThan(7e6)
    expect(page).toContain('the rest of it is in report.json')
  })

  test('a report that is told to be of no date is refused as what is none', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tk-report-'))
    const report = of([told('a', 'v1')])
    const dateless = { ...report, runs: report.runs.map((one) => ({ ...one, startedMs: 1e18 })) }
    await writeFile(join(directory, 'report.json'), JSON.stringify(dateless))
    await expect(readReport(directory)).rejects.toThrow('startedMs')
    await rm(directory, { recursive: true })
  })
})

describe('directories', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tk-report-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  test('what is written is read, and merged', async () => {
    const [one, other] = [of([told('a', 'v1')], { id: 'one' }), of([told('b', 'v2')], { id: 'other' })]
    const at = (name: string) => join(directory, name)
    await writeReport(one, { directory: at('one') })
    await writeReport(other, { directory: at('other') })
    expect((await readdir(at('one'))).toSorted()).toEqual(['report.html', 'report.json', 'report.md'])
    expect(await mergeDirectories([at('one'), at('other')], { directory: at('both') })).toBe(at('both/report.html'))
    expect(await readReport(at('both'))).toEqual(mergeReports([one, other]))
  })

  test("a step's summary gets what it has room for", async () => {
    const stepSummary = join(directory, 'summary.md')
    await writeFile(stepSummary, 'x'.repeat(1024 * 1024 - 3000))
    await writeReport(sampleReport({ tests: 200, kernels: 5 }), { directory, stepSummary })
    const { length } = await readFile(stepSummary)
    expect(length).toBeGreaterThan(1024 * 1024 - 3000)
    expect(length).toBeLessThan(1024 * 1024)
  })

  test.each([
    ['no JSON', '{'],
    ['another version', JSON.stringify({ ...of([]), version: 2 })],
    ['no report', '{}'],
  ])('%s is refused', async (_, content) => {
    await writeFile(join(directory, 'report.json'), content)
    await expect(readReport(directory)).rejects.toMatchObject({ code: 'REPORT_UNUSABLE' })
  })

  test('a directory that cannot be made is told of', async () => {
    await writeFile(join(directory, 'file'), '')
    const written = writeReport(of([]), { directory: join(directory, 'file/below') })
    await expect(written).rejects.toMatchObject({ code: 'REPORT_NOT_WRITTEN' })
  })
})
