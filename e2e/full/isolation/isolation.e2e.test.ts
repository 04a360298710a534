// Who shares a VM with whom, in both test runners.
import { expect, test } from 'vitest'
import { jest } from '../../support/jest.ts'
import { type Run, vitest } from '../../support/run.ts'

interface Visit {
  readonly worker: string
  readonly hostname: string
  readonly found: number
}

/** What each test file said, in the order in which they ran. */
function visits({ program }: Run): Visit[] {
  const said = (program.stdout + program.stderr).matchAll(/worker (\d+) on (\S+) found (\d+) volumes/g)
  return [...said].map(([, worker = '', hostname = '', found]) => ({ worker, hostname, found: Number(found) }))
}

async function passed(run: Run): Promise<void> {
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
}

test('ten workers of Vitest on one entry: ten VMs, ten hostnames, nothing left', async ({ annotate }) => {
  await using run = await vitest('isolation', ['--project', 'worker', '--maxWorkers', '10'])
  await passed(run)
  const found = visits(run)
  expect(found).toHaveLength(10)
  expect(new Set(found.map(({ worker }) => worker)).size).toBe(10)
  expect(new Set(found.map(({ hostname }) => hostname)).size).toBe(10)
  expect(found.every(({ found }) => found === 0)).toBe(true)
  // The first VM is the first worker's: there is none beside those of the workers.
  expect(run.program.stdout.match(/ready in /g)).toHaveLength(10)
  await annotate(`nothing left after ${await run.gone()} ms`)
})

test('a worker of Vitest keeps its VM for all of its files', async () => {
  await using run = await vitest('isolation', [
    '--project',
    'worker',
    '--maxWorkers',
    '2',
    'one',
    'two',
    'three',
    'four',
  ])
  await passed(run)
  const found = visits(run)
  expect(found).toHaveLength(4)
  for (const worker of new Set(found.map(({ worker }) => worker))) {
    const files = found.filter((visit) => visit.worker === worker)
    expect(new Set(files.map(({ hostname }) => hostname)).size).toBe(1)
    expect(files.map(({ found }) => found)).toEqual(files.map((_, index) => index))
  }
  await run.gone()
})

test.each([
  { what: 'in processes', args: ['--project', 'file', '--maxWorkers', '2'] },
  { what: 'in threads', args: ['--project', 'file', '--maxWorkers', '2', '--pool', 'threads'] },
  { what: 'in one process for all files', args: ['--project', 'file', '--maxWorkers', '1', '--no-isolate'] },
  { what: 'in vm contexts', args: ['--project', 'file', '--maxWorkers', '1', '--pool', 'vmThreads'] },
  { what: 'without templates', args: ['--project', 'cold', '--maxWorkers', '1'] },
])('each file of Vitest has a VM of its own, $what', async ({ args }) => {
  await using run = await vitest('isolation', [...args, 'one', 'two', 'three'])
  await passed(run)
  const found = visits(run)
  expect(new Set(found.map(({ hostname }) => hostname)).size).toBe(3)
  expect(found.map(({ found }) => found)).toEqual([0, 0, 0])
  await run.gone()
})

test.each([
  { what: 'in workers', args: ['--selectProjects', 'file', '--maxWorkers', '2'] },
  { what: 'in band', args: ['--selectProjects', 'file', '--runInBand'] },
])('each file of Jest has a VM of its own, $what', async ({ args }) => {
  await using run = await jest('isolation', [...args, 'one', 'two', 'three'], { env })
  await passed(run)
  const found = visits(run)
  expect(new Set(found.map(({ hostname }) => hostname)).size).toBe(3)
  expect(found.map(({ found }) => found)).toEqual([0, 0, 0])
  await run.gone()
})

test('each worker of Jest has a VM of its own', async () => {
  await using run = await jest('isolation', ['--selectProjects', 'worker', '--maxWorkers', '2'], { env })
  await passed(run)
  const found = visits(run)
  expect(found).toHaveLength(10)
  expect(new Set(found.map(({ worker, hostname }) => `${worker} ${hostname}`)).size).toBe(2)
  await run.gone()
})

/** The test files are ES modules. */
const env = { NODE_OPTIONS: '--experimental-vm-modules' }

test.each([
  { project: 'keep', found: [0, 1] },
  { project: 'reset', found: [0, 0] },
])('what a rerun in watch mode finds, with $project', async ({ project, found }) => {
  const options = { command: 'watch', terminal: true }
  await using run = await vitest('isolation', ['--project', project, 'one'], options)
  await run.program.printed('stdout', /Waiting for file changes/)
  run.program.type('r')
  await run.program.printed('stdout', /Waiting for file changes[\s\S]+Tests +1 passed[\s\S]+Waiting for file changes/)
  expect(visits(run).map((visit) => visit.found)).toEqual(found)
  run.program.type('q')
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  await run.gone()
})
