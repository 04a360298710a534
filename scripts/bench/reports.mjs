// What hearing a guest's kernel costs a test of nothing, and how soon the page of a large report is there.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { createJiti } from 'jiti'
import { during, median, repeated } from './statistics.mjs'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const TESTS = 2000

/** Both ways in turn, on VMs of one kernel that differ in nothing else. */
export async function benchKernelReports({ rounds = 5 } = {}) {
  // Where Vitest finds itself and us.
  const directory = await mkdtemp(join(root, '.testkernels/bench-reports-'))
  try {
    await writeFile(join(directory, 'nothing.test.mjs'), testFile)
    await writeFile(join(directory, 'vitest.config.mjs'), config)
    const each = { heard: [], ignored: [] }
    for (let round = 0; round < rounds; round++)
      for (const project of ['heard', 'ignored']) each[project].push(await msOfTest(directory, project))
    return {
      testOfNothingMs: median(each.heard),
      testOfNothingIgnoredMs: median(each.ignored),
      kernelReportsOfTestMs: median(each.heard) - median(each.ignored),
    }
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function msOfTest(directory, project) {
  const args = [vitest, 'run', '--root', directory, '--project', project]
  const { stdout } = await run(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 })
  const [, ms] = /each took ([\d.]+) ms/.exec(stdout) ?? []
  if (ms === undefined) throw new Error(`the tests of nothing said nothing: ${stdout.slice(-2000)}`)
  return Number(ms)
}

const testFile = `import { afterAll, beforeAll, test } from 'vitest'
let beganMs
beforeAll(() => {
  beganMs = performance.now()
})
for (let count = 0; count < ${TESTS}; count++) test('nothing ' + count, () => {})
afterAll(() => console.log('each took ' + ((performance.now() - beganMs) / ${TESTS}).toFixed(4) + ' ms'))
`

const config = `import { kernelProjects } from 'testkernels/vitest'
const kernels = {
  heard: { kernel: 'debian:bookworm' },
  ignored: { kernel: 'debian:bookworm', kernelReports: 'ignore' },
}
export default { test: { projects: kernelProjects(kernels, { root: import.meta.dirname, include: ['*.test.mjs'] }) } }
`

/** From the navigation to the end of the page's load event, in a Chromium that was started for it. */
export async function benchReportPage({ rounds = 5 } = {}) {
  await run('chromium-headless-shell', ['--version']).catch(() => {
    throw new Error('chromium-headless-shell is not installed: apt-get install chromium-headless-shell')
  })
  const jiti = createJiti(import.meta.url, { fsCache: false })
  const { Browser } = await jiti.import('../../e2e/support/browser.ts')
  const { sampleReport } = await jiti.import('../../fixtures/report/sample-report.ts')
  const { writeReport } = await import('../../dist/report/index.js')
  const directory = await mkdtemp(join(tmpdir(), 'tk-bench-page-'))
  try {
    const page = async (name, size) =>
      pathToFileURL(await writeReport(sampleReport(size), { directory: join(directory, name) })).href
    const large = await page('large', { tests: 1000, kernels: 8 })
    const small = await page('small', { tests: 8, kernels: 1 })
    const loads = await repeated(rounds, async () => [await loadMs(Browser, large), await loadMs(Browser, small)])
    const [ofLarge, ofSmall] = [0, 1].map((at) => median(loads.map((load) => load[at])))
    return { page1000By8Ms: ofLarge, page8By1Ms: ofSmall, page1000By8OverPage8By1: ofLarge / ofSmall }
  } finally {
    await rm(directory, { recursive: true })
  }
}

function loadMs(Browser, url) {
  return during(Browser.start(), async (browser) => {
    await browser.open(url, { width: 1280, height: 900, scheme: 'light' })
    return await browser.value("performance.getEntriesByType('navigation')[0].loadEventEnd")
  })
}
