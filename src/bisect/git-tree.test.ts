// With the git of this machine, on a history with a merge.
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { GitTree } from './git-tree.ts'
import { nextStep, type Run } from './search.ts'

/** Each test starts git many times, which takes long on a busy machine. */
const GIT_DEADLINE_MS = 120_000
vi.setConfig({ testTimeout: GIT_DEADLINE_MS, hookTimeout: GIT_DEADLINE_MS })

const environment = {
  PATH: process.env['PATH'],
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_DIR: '/nonexistent',
  ...Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap((who) => [
      [`GIT_${who}_NAME`, 'Somebody'],
      [`GIT_${who}_EMAIL`, 'somebody@example.org'],
      [`GIT_${who}_DATE`, '2026-01-01T00:00:00Z'],
    ]),
  ),
}
const options = { environment, signal: new AbortController().signal }
let directory = ''
let clone = ''
let tree: GitTree

function inClone(...args: readonly string[]): string {
  const { GIT_DIR: _, ...env } = environment
  return String(execFileSync('git', ['-C', clone, ...args], { env, stdio: 'pipe' })).trim()
}

async function commit(name: string): Promise<void> {
  await writeFile(join(clone, name), `${name}\n`)
  inClone('add', '.')
  inClone('commit', '-q', '-m', `add ${name}`)
  inClone('tag', name)
}

/** base - one - two - merged - three, and base - side - merged; other is in nobody's history. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-git-'))
  clone = join(directory, 'linux')
  execFileSync('git', ['init', '-q', '-b', 'main', clone])
  await commit('base')
  await commit('one')
  await commit('two')
  inClone('checkout', '-q', '-b', 'branch', 'base')
  await commit('side')
  inClone('checkout', '-q', 'main')
  inClone('merge', '-q', '--no-ff', '-m', 'merge branch', 'branch')
  inClone('tag', 'merged')
  await commit('three')
  inClone('checkout', '-q', '-b', 'elsewhere', 'one')
  await commit('other')
  inClone('checkout', '-q', 'main')
  tree = await GitTree.open(clone, options)
})

afterAll(() => rm(directory, { recursive: true }))

const hash = (name: string) => inClone('rev-parse', `${name}^{commit}`)
const nameOf = (commit: string) => inClone('describe', '--tags', '--exact-match', commit)

/** @returns the first bad one, where those with this file are bad */
async function firstWith(file: string, follow: 'all' | 'first-parent'): Promise<string[]> {
  const history = await tree.history({ good: 'base', bad: 'three', follow })
  const runs: Run[] = []
  for (;;) {
    const step = await nextStep(history, runs, { runs: 1, verifyEnds: 'last' })
    if (step.kind === 'found') return step.finding.suspects.map(nameOf)
    if (step.kind === 'refuted') throw new Error(`${step.end} is refuted`)
    const names = inClone('ls-tree', '--name-only', step.candidate).split('\n')
    runs.push({ candidate: step.candidate, verdict: names.includes(file) ? 'bad' : 'good', why: '', ms: 1 })
  }
}

test.each(['one', 'two', 'side', 'three'])(
  'a fault that came with %s is found, in a branch that was merged as well',
  async (name) => {
    expect(await firstWith(name, 'all')).toEqual([name])
  },
)

test('along first parents it is the merge that brought it', async () => {
  expect(await firstWith('side', 'first-parent')).toEqual(['merged'])
})

test('candidates are from the good end to the bad end, each after what it is made of', async () => {
  const { candidates } = await tree.history({ good: 'one', bad: 'three', follow: 'all' })
  expect(candidates.at(0)).toBe(hash('one'))
  expect(candidates.map(nameOf).toSorted()).toEqual(['merged', 'one', 'side', 'three', 'two'])
  expect(candidates.slice(-2)).toEqual([hash('merged'), hash('three')])
})

test('a commit is checked out elsewhere, what did not change is not touched, and the clone stays as it is', async () => {
  const target = { directory: join(directory, 'checkout'), index: join(directory, 'index') }
  await tree.checkOut(hash('one'), target)
  expect((await readdir(target.directory)).toSorted()).toEqual(['base', 'one'])
  const before = await stat(join(target.directory, 'base'), { bigint: true })
  // Of a checkout that was killed, and of somebody who came by.
  await writeFile(`${target.index}.lock`, '')
  await writeFile(join(target.directory, 'one'), 'changed\n')
  await tree.checkOut(hash('three'), target)
  expect((await readdir(target.directory)).toSorted()).toEqual(['base', 'one', 'side', 'three', 'two'])
  expect(await readFile(join(target.directory, 'one'), 'utf8')).toBe('one\n')
  expect((await stat(join(target.directory, 'base'), { bigint: true })).mtimeNs).toBe(before.mtimeNs)
  await tree.checkOut(hash('base'), target)
  expect(await readdir(target.directory)).toEqual(['base'])
  expect(inClone('status', '--porcelain')).toBe('')
  expect(inClone('worktree', 'list').split('\n')).toHaveLength(1)
})

test('what people read of a commit', async () => {
  expect(await tree.title(hash('two'))).toBe(`${hash('two').slice(0, 7)} add two`)
  expect(await tree.log(hash('two'))).toMatch(/^commit [0-9a-f]{40}[\s\S]+add two[\s\S]+two \| 1 \+/)
})

test.each([
  [{ good: 'v7', bad: 'three' }, "--good: there is no commit 'v7'"],
  [{ good: '--all', bad: 'three' }, "--good: there is no commit '--all'"],
  [{ good: 'three', bad: 'base' }, 'remedy: swap the two'],
  [{ good: 'base', bad: 'base' }, 'remedy: swap the two'],
  [{ good: 'other', bad: 'three' }, 'remedy: take their merge base as --good'],
])('refuses %j', async (range, message) => {
  await expect(tree.history({ ...range, follow: 'all' })).rejects.toThrow(message)
})

test('what git cannot do is an error with what git says', async () => {
  const target = { directory: join(directory, 'failing'), index: join(directory, 'failing.index') }
  await expect(tree.checkOut('0'.repeat(40), target)).rejects.toMatchObject({
    code: 'GIT_FAILED',
    message: expect.stringMatching(/^git read-tree failed\n {2}cause: fatal: /),
  })
})

test('refuses a path that is no repository, and an abort is no such thing', async () => {
  await expect(GitTree.open(tmpdir(), options)).rejects.toThrow('is no git repository')
  const signal = AbortSignal.abort(new Error('called off'))
  await expect(GitTree.open(clone, { ...options, signal })).rejects.toThrow('called off')
})
