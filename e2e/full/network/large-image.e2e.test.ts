// `docker load` of an image that is far larger than what this process may hold of it. Under emulation dockerd takes a few MB a second, and its
// client has hundreds: what is not held back would all be here. How fast it goes is for `npm run bench -- --only load`.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'

const run = promisify(execFile)
const maker = join(import.meta.dirname, '../../../scripts/large-image.mjs')
const MIB = 1 << 20
const LARGE_MIB = 600
/** Beyond what this process has when a first image has gone the same way. */
const GROWTH_MAX_MIB = 96
const SAMPLE_MS = 20
/** Emulated, on a machine that does other things as well, it takes a quarter of an hour. */
const TEST_TIMEOUT_MS = 60 * 60_000

/** @returns the digest of the image's layer */
async function load({ environment }: StartedKernelVm, name: string, mib: number): Promise<string> {
  const script = `set -o pipefail; "$0" "$@" | docker load`
  const env = { ...process.env, ...environment }
  const { stderr } = await run('bash', ['-c', script, process.execPath, maker, name, String(mib)], { env })
  return stderr.trim()
}

/** The most that each kind of this process's memory is while something is done, beyond what it was, in MiB. */
async function growthDuring(
  work: () => Promise<unknown>,
): Promise<Readonly<Record<'rss' | 'heap' | 'outside', number>>> {
  const read = () => {
    const { rss, heapUsed: heap, external: outside } = process.memoryUsage()
    return { rss, heap, outside }
  }
  const before = read()
  const growth = { rss: 0, heap: 0, outside: 0 }
  const sample = () => {
    const now = read()
    for (const kind of ['rss', 'heap', 'outside'] as const)
      growth[kind] = Math.max(growth[kind], (now[kind] - before[kind]) / MIB)
  }
  const sampling = setInterval(sample, SAMPLE_MS)
  try {
    await work()
    sample()
  } finally {
    clearInterval(sampling)
  }
  return growth
}

test(`an image of ${LARGE_MIB} MiB comes whole, and nothing of it stays in this process`, {
  timeout: TEST_TIMEOUT_MS,
}, async ({ annotate }) => {
  await using vm = await new KernelVm({ name: 'large', kernel: 'debian:bookworm' }).start()
  await load(vm, 'testkernels-e2e/first:1', 16)
  let digest = ''
  const growth = await growthDuring(async () => {
    digest = await load(vm, 'testkernels-e2e/large:1', LARGE_MIB)
  })
  await annotate(`grew by at most ${JSON.stringify(growth)} MiB`)
  const found = await docker(vm, ['image', 'inspect', 'testkernels-e2e/large:1'])
  const [{ RootFS, Size }] = JSON.parse(found) as [{ RootFS: { Layers: string[] }; Size: number }]
  expect({ layers: RootFS.Layers, Size }).toEqual({ layers: [digest], Size: LARGE_MIB * MIB })
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/)
  for (const [kind, mib] of Object.entries(growth)) expect(mib, kind).toBeLessThan(GROWTH_MAX_MIB)
})
