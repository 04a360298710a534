// `run --matrix --report` and `report merge`, as a user has them: what programs, GitHub and people read of a run, and of several.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testkernels } from '../../support/run.ts'

const file = join(import.meta.dirname, '../../../fixtures/matrix/testkernels.config.ts')
const entries = ['bookworm-cgroupv1', 'bookworm-cgroupv2']
/** It is in the name of the test, as the command is. */
const HOSTILE = '<script>alert(1)</script>'
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-report-'))
})
afterEach(() => rm(directory, { recursive: true }))

const at = (...names: readonly string[]) => join(directory, ...names)

/** The same command each time; which entry fails is in a variable. */
async function matrixRun(report: string, failing: string) {
  const script = `echo "ran on $TESTKERNELS_ENTRY"; [ "$TESTKERNELS_ENTRY" != "$FAILING" ] # ${HOSTILE}`
  const args = ['run', '--matrix', file, '--report', report, '--', 'sh', '-c', script]
  const env = { FAILING: failing, GITHUB_STEP_SUMMARY: at(`${failing || 'none'}.summary`) }
  await using run = await testkernels(args, { env })
  const { code } = await run.program.exit
  expect(run.program.stderr).toContain(`report of the run: ${join(report, 'report.html')}`)
  await run.gone()
  return { code, name: ['sh', '-c', script].join(' '), summary: await readFile(env.GITHUB_STEP_SUMMARY, 'utf8') }
}

async function read(report: string) {
  expect((await readdir(report)).sort()).toEqual(['report.html', 'report.json', 'report.md'])
  const text = (name: string) => readFile(join(report, name), 'utf8')
  return {
    json: JSON.parse(await text('report.json')),
    page: await text('report.html'),
    markdown: await text('report.md'),
  }
}

test('a run is told as JSON, Markdown and a page, and two runs as one', async () => {
  const first = await matrixRun(at('first'), 'bookworm-cgroupv1')
  expect(first.code).toBe(1)
  const { json, page, markdown } = await read(at('first'))
  expect(json).toMatchObject({ version: 1, runs: [{ runner: 'testkernels run' }] })
  expect(json.entries.map(({ name }: { name: string }) => name)).toEqual(entries)
  expect(json.vms).toMatchObject(
    entries.map((entry, index) => ({
      entry,
      hostname: entry,
      release: expect.stringMatching(/^6\.1\./),
      dockerd: expect.stringMatching(/^\d+\.\d+/),
      cgroup: { version: String(index + 1) },
      steps: expect.arrayContaining([expect.objectContaining({ name: 'identity' })]),
    })),
  )
  expect(json.tests).toMatchObject([
    {
      file,
      name: first.name,
      results: [
        { entry: entries[0], verdict: 'failed', errors: ['failed with status 1\n\nran on bookworm-cgroupv1'] },
        { entry: entries[1], verdict: 'passed', errors: [] },
      ],
    },
  ])
  expect(page.match(/<svg class="steps"/g)).toHaveLength(2)
  expect(page).toContain('ran on bookworm-cgroupv1')
  expect(page).not.toContain('<script')
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(markdown).toContain('**1** differ between kernels')
  expect(markdown).not.toContain(HOSTILE)
  expect(first.summary).toBe(markdown)

  const second = await matrixRun(at('second'), '')
  expect(second.code).toBe(0)
  const env = { GITHUB_STEP_SUMMARY: at('merged.summary') }
  await using merge = await testkernels(['report', 'merge', at('first'), at('second'), '--output', at('merged')], {
    env,
  })
  expect(await merge.program.exit, merge.program.stderr).toEqual({ code: 0, signal: null })
  expect(merge.program.stdout).toBe(`${at('merged', 'report.html')}\n`)
  const merged = await read(at('merged'))
  expect(merged.json.runs).toHaveLength(2)
  expect(merged.json.vms).toHaveLength(4)
  const [test, ...others] = merged.json.tests
  expect(others).toEqual([])
  expect(test.results.map(({ entry, verdict }: { entry: string; verdict: string }) => `${entry} ${verdict}`)).toEqual([
    'bookworm-cgroupv1 failed',
    'bookworm-cgroupv2 passed',
    'bookworm-cgroupv1 passed',
    'bookworm-cgroupv2 passed',
  ])
  expect(merged.page).toContain('fails 1 of 2 on bookworm-cgroupv1; never on bookworm-cgroupv2')
  expect(merged.page.match(/<svg class="steps"/g)).toHaveLength(4)
  expect(merged.markdown).toMatch(/fails 1 of 2 on bookworm/)
  expect(await readFile(env.GITHUB_STEP_SUMMARY, 'utf8')).toBe(merged.markdown)
})

test('what is no report is refused, and nothing is written', async () => {
  await using merge = await testkernels(['report', 'merge', at('none'), '--output', at('merged')])
  expect(await merge.program.exit).toEqual({ code: 125, signal: null })
  expect(merge.program.stderr).toContain('error [REPORT_UNUSABLE]: ')
  expect(merge.program.stdout).toBe('')
  expect(await readdir(directory)).toEqual([])
})
