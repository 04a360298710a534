// What a report of a run looks like in a browser: Chromium, as Debian has it, which is installed where it is not there.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { sampleReport } from '../../../fixtures/report/sample-report.ts'
import { reportOf, writeReport } from '../../../src/report/index.ts'
import { Browser, type Screen } from '../../support/browser.ts'

const run = promisify(execFile)
/** Screenshots of the last run, for people. */
const pictures = join(import.meta.dirname, '../../../.testkernels/report')

let directory: string
let page: string
let browser: Browser

beforeAll(async () => {
  const install =
    'command -v chromium-headless-shell || apt-get install -y --no-install-recommends chromium-headless-shell'
  await run('sh', ['-c', install], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
  directory = await mkdtemp(join(tmpdir(), 'tk-page-'))
  await mkdir(pictures, { recursive: true })
  page = pathToFileURL(await writeReport(sampleReport({ tests: 200, kernels: 5 }), { directory })).href
})
afterAll(() => rm(directory, { recursive: true }))
beforeEach(async () => {
  browser = await Browser.start()
})
afterEach(() => browser[Symbol.asyncDispose]())

const desktop = { width: 1280, height: 900 }
const phone = { width: 390, height: 844 }
const screens: readonly (Screen & { readonly on: string })[] = [
  { on: 'desktop', scheme: 'light', ...desktop },
  { on: 'desktop', scheme: 'dark', ...desktop },
  { on: 'phone', scheme: 'light', ...phone },
  { on: 'phone', scheme: 'dark', ...phone },
]

test.each(screens)('on a $on, in $scheme, all fits the width, and nothing is fetched', async ({ on, ...screen }) => {
  await browser.open(page, screen)
  await browser.screenshot(join(pictures, `${on}-${screen.scheme}.png`), { of: 'page' })
  expect(await browser.value('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
  expect(await browser.value("performance.getEntriesByType('resource').length")).toBe(0)
  // 5 kernels, and 200 tests of which none is left out.
  expect(await browser.value("document.querySelectorAll('.kernels tbody tr').length")).toBe(5)
  expect(await browser.value("document.querySelectorAll('.tests tbody th[scope=row]').length")).toBe(200)
  const background = await browser.value<string>('getComputedStyle(document.body).backgroundColor')
  expect(background).toBe(screen.scheme === 'dark' ? 'rgb(15, 18, 22)' : 'rgb(255, 255, 255)')
  // All details open, and still nothing sticks out.
  await browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true })")
  expect(await browser.value('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
})

test('what differs between kernels comes first', async () => {
  await browser.open(page, screens[0] as Screen)
  const sections = await browser.value<string[]>("[...document.querySelectorAll('main > section')].map(({ id }) => id)")
  expect(sections).toEqual(['kernels', 'differs', 'fails', 'flaky', 'skips', 'passes', 'vms'])
})

test('with the keyboard alone, a failed cell opens its error, kernel report and console', async () => {
  await browser.open(page, screens[0] as Screen)
  const focused = "document.activeElement?.closest('.tests td') ? document.activeElement.hash : ''"
  const isReported = (hash: string) => `document.querySelector('${hash}').textContent.includes('KASAN')`
  let hash = ''
  // Past the sums and the kernels, to the first failed cell whose kernel reported something.
  for (let tabs = 0; tabs < 100; tabs++) {
    await browser.press('Tab')
    hash = await browser.value<string>(focused)
    if (hash !== '' && (await browser.value<boolean>(isReported(hash)))) break
  }
  expect(hash).toMatch(/^#d\d+$/)
  const isOpen = `document.querySelector('${hash}').closest('details').open`
  expect(await browser.value(isOpen)).toBe(false)
  await browser.press('Enter')
  await expect.poll(() => browser.value(isOpen)).toBe(true)
  const seen = await browser.value<string>(`document.querySelector('${hash}').innerText`)
  for (const part of ['Error', 'Kernel report', 'slab-use-after-free', 'Console while it ran', 'oom-killer'])
    expect(seen).toContain(part)
})

test('what tests are called and consoles say is seen, and does nothing', async () => {
  const fetched = 'http://127.0.0.1:9/fetched'
  const hostile = [
    `<script>document.title = 'ran'</script>`,
    `<img src="${fetched}" onerror="document.title = 'ran'">`,
    `"><svg onload="document.title = 'ran'"><use href="${fetched}"/></svg>`,
    `</style></pre></details><iframe src="${fetched}"></iframe><base href="${fetched}">`,
    `<link rel="stylesheet" href="${fetched}"><meta http-equiv="refresh" content="0;url=${fetched}">`,
    `javascript:document.title='ran' \u001b]8;;${fetched}\u0007link\u001b]8;;\u0007 \u202egnp.exe`,
  ]
  const text = hostile.join('\n')
  const report = {
    kind: 'bug',
    title: text,
    headline: text,
    block: text,
    sequence: 1,
    uptimeS: 1,
    verdict: 'fail',
  } as const
  const { entries, runs } = sampleReport({ tests: 1, kernels: 2 })
  const vms = entries.map(({ name }) => ({
    entry: name,
    hostname: text,
    release: text,
    steps: [{ name: text, fromMs: 0, toMs: 1 }],
    reports: [report],
    console: text,
  }))
  const tests = hostile.map((name) => ({
    name,
    entries: entries.map((entry) => entry.name),
    hostnames: [text],
    verdict: 'failed' as const,
    startedMs: 0,
    ms: 1,
    tries: 1,
    failures: 1,
    errors: [text],
    reports: [report],
    console: text,
  }))
  const named = entries.map((entry) => ({ ...entry, kernel: text }))
  const [run = { id: '', runner: 'vitest', machine: '', startedMs: 0, endedMs: 0 } as const] = runs
  const collected = reportOf({ run: { ...run, machine: text }, entries: named, files: [{ file: text, vms, tests }] })
  const own = join(directory, 'hostile')
  const url = pathToFileURL(await writeReport(collected, { directory: own })).href
  // As a reader's browser has them.
  await browser.open(url, { ...(screens[0] as Screen), scripts: 'on' })
  await browser.value("document.querySelectorAll('details').forEach((one) => { one.open = true })")
  expect(await browser.value('document.title')).toMatch(/: tests by kernels$/)
  expect(await browser.value("performance.getEntriesByType('resource').length")).toBe(0)
  expect(await browser.value('location.href')).toBe(url)
  const made =
    "document.querySelectorAll('script, img, iframe, base, link, use, meta[http-equiv=refresh], [onload], [onerror]').length"
  expect(await browser.value(made)).toBe(0)
  expect(
    await browser.value("[...document.links].every(({ protocol, hash }) => protocol === 'file:' && hash !== '')"),
  ).toBe(true)
  // And each is there to be read.
  const seen = await browser.value<string>('document.body.innerText')
  for (const line of hostile.slice(0, -1)) expect(seen).toContain(line)
  expect(await browser.value('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
})

test('a page of 1,000 tests on 8 kernels opens, and how fast is told', async () => {
  const large = join(directory, 'large')
  const url = pathToFileURL(await writeReport(sampleReport({ tests: 1000, kernels: 8 }), { directory: large })).href
  await browser.open(url, screens[0] as Screen)
  expect(await browser.value("document.querySelectorAll('.tests tbody th[scope=row]').length")).toBe(1000)
  const ms = await browser.value<number>("performance.getEntriesByType('navigation')[0].loadEventEnd")
  console.log(`1,000 tests on 8 kernels open in ${Math.round(ms)} ms`)
})
