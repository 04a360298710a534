// Ten versions that the Debian archive has, of which those from one on are bad; and the same where the command does not fail each time.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { removingImages } from '../../support/docker.ts'
import { testkernels } from '../../support/run.ts'

const VERSIONS = 10
/** Kernels are fetched and booted without KVM. */
const TIMEOUT_MS = 1_800_000
let directory: string
let images: AsyncDisposable
/** From the oldest to the newest. */
let kernels: readonly { readonly reference: string; readonly version: string; readonly package: string }[]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-bisect-'))
  images = await removingImages('testkernels/vm:bookworm-6.1.*')
  await using run = await testkernels(['kernels', '--suite', 'bookworm', '--json'])
  expect((await run.program.exit).code).toBe(0)
  const listed: typeof kernels = JSON.parse(run.program.stdout).kernels
  kernels = listed.filter(({ version }) => version.startsWith('6.1.')).slice(-VERSIONS)
  expect(kernels).toHaveLength(VERSIONS)
})

afterAll(async () => {
  await images[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

/** The releases of the kernels that are bad, as `uname -r` says them, in a file. */
async function badFrom(index: number): Promise<string> {
  const path = join(directory, `bad-from-${index}`)
  const releases = kernels.slice(index).map((kernel) => kernel.package.replace('linux-image-', ''))
  await writeFile(path, releases.join('\n'))
  return path
}

const ends = () => ['--good', kernels[0]?.reference ?? '', '--bad', kernels.at(-1)?.reference ?? '']

test('the first bad one is found in at most log2(n) + 1 boots, with what changed', {
  timeout: TIMEOUT_MS,
}, async () => {
  const first = 6
  const script = `! docker info --format '{{.KernelVersion}}' | grep -qxf ${await badFrom(first)}`
  const args = ['bisect', ...ends(), '--no-template', '--json', '--', 'sh', '-c', script]
  await using run = await testkernels(args)
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  const answer = JSON.parse(run.program.stdout)
  expect(answer.suspects).toEqual([expect.objectContaining({ candidate: kernels[first]?.reference })])
  expect(answer.lastGood).toMatchObject({ candidate: kernels[first - 1]?.reference })
  expect(answer.tried.length).toBeLessThanOrEqual(Math.ceil(Math.log2(VERSIONS)) + 1)
  expect(run.booted).toHaveLength(answer.tried.length)
  // From its own entry to that of the last good one.
  const version = kernels[first]?.version ?? ''
  const [entry = ''] = answer.log.split('\n')
  expect(
    [`linux (${version})`, `(${version.replace('-', '+')})`].some((text) => entry.includes(text)),
    entry,
  ).toBe(true)
  expect(answer.log).not.toContain(`linux (${kernels[first - 1]?.version})`)
})

test('a command that fails each third time on bad kernels, run five times on each', {
  timeout: TIMEOUT_MS,
}, async () => {
  const bad = await badFrom(1)
  const count = join(directory, 'count')
  const script = `docker info --format '{{.KernelVersion}}' | grep -qxf ${bad} || exit 0
    echo >>${count}
    [ $(( $(wc -l <${count}) % 3 )) != 0 ]`
  const named = kernels.slice(0, 3).map(({ reference }) => reference)
  const [good = '', between = '', last = ''] = named
  const args = ['bisect', '--good', good, '--between', between, '--bad', last, '--runs', '5', '--', 'sh', '-c', script]
  await using run = await testkernels([...args])
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toMatch(new RegExp(`^${between} is the first bad one\nthe last good one is ${good}\n`))
  // Of its five runs the third was bad.
  expect(run.program.stdout).toMatch(/^confidence 67\.2%: bad kernels failed in 1 of 5 runs, .* in 32\.8% of cases$/m)
})
