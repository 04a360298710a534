import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type EntryResult, isPassed, loadMatrix, recordOf, summaryLines } from './run-matrix.ts'

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-matrix-'))
})

afterEach(() => rm(directory, { recursive: true }))

async function load(name: string, text: string) {
  const path = join(directory, name)
  await writeFile(path, text)
  return await loadMatrix(path)
}

test.each([
  ['testkernels.config.ts', "const kernel: string = 'debian:trixie'\nexport default { v2: { kernel } } as const"],
  ['testkernels.config.mjs', "export default [{ name: 'v2', kernel: 'debian:trixie' }]"],
  ['testkernels.config.cjs', "module.exports = { v2: { kernel: 'debian:trixie' } }"],
  ['testkernels.config.json', '{ "v2": { "kernel": "debian:trixie" } }'],
])('reads %s, and leaves nothing beside it', async (name, text) => {
  expect(await load(name, text)).toMatchObject([{ name: 'v2', kernel: 'debian:trixie', cgroup: 2 }])
  expect(await readdir(directory)).toEqual([name])
})

test.each([
  ['export const kernels = 1', 'kernels: expected an object of options'],
  ['export default 1', 'exports no matrix'],
  ['export default {', 'cannot read the matrix in'],
  ["throw new Error('mine')", 'cause: mine'],
  ["export default { v2: { kernel: 'debian:trixie', memory: 1 } }", "v2: unknown option 'memory'"],
])('refuses %j', async (text, message) => {
  await expect(load('testkernels.config.ts', text)).rejects.toThrow(message)
})

test('refuses a file that is not there', async () => {
  await expect(loadMatrix(join(directory, 'none.ts'))).rejects.toMatchObject({ code: 'MATRIX_FILE' })
})

const results = (
  [
    { entry: 'v1', kernel: 'debian:bookworm', outcome: { kind: 'exited', status: 0, reported: [] }, ms: 1_234 },
    {
      entry: 'trixie-cgroupv2',
      kernel: 'debian:trixie',
      outcome: { kind: 'exited', status: 3, reported: ['f'] },
      ms: 61_000,
    },
    { entry: 'w', kernel: 'host', outcome: { kind: 'exited', status: 0, reported: ['WARNING in f', 'g'] }, ms: 0 },
    { entry: 'x', kernel: 'host', outcome: { kind: 'vm-failed', why: 'kernel panic' }, ms: 0 },
    { entry: 'y', kernel: 'host', outcome: { kind: 'not-run' }, ms: 0 },
  ] satisfies Pick<EntryResult, 'entry' | 'kernel' | 'outcome' | 'ms'>[]
).map((result) => ({ ...result, vms: [], output: ['last words'] }))

test('a table of all entries', () => {
  expect(summaryLines(results)).toEqual([
    'entry            kernel           time    result',
    'v1               debian:bookworm  1.2 s   passed',
    'trixie-cgroupv2  debian:trixie    61.0 s  failed with status 3',
    'w                host             0.0 s   failed: the kernel reported WARNING in f, g',
    'x                host             0.0 s   failed: kernel panic',
    'y                host             0.0 s   not run',
  ])
})

test('only a command that was run and ended with 0, on a kernel that reported nothing, has passed', () => {
  expect(results.map(isPassed)).toEqual([true, false, false, false, false])
})

test('in a report, the command is a test of each entry', () => {
  const records = results.map((result) =>
    recordOf(result, { file: 'matrix.ts', command: ['npx', 'jest'], startedMs: 5 }),
  )
  const tests = records.flatMap(({ file, tests }) => tests.map((one) => ({ file, ...one })))
  expect(tests.map(({ file, name, entries, verdict, tries }) => [file, name, ...entries, verdict, tries])).toEqual([
    ['matrix.ts', 'npx jest', 'v1', 'passed', 1],
    ['matrix.ts', 'npx jest', 'trixie-cgroupv2', 'failed', 1],
    ['matrix.ts', 'npx jest', 'w', 'failed', 1],
    ['matrix.ts', 'npx jest', 'x', 'failed', 1],
    ['matrix.ts', 'npx jest', 'y', 'skipped', 0],
  ])
  expect(tests[1]?.errors).toEqual(['failed with status 3\n\nlast words'])
})
