// What sweeps take away, and what they do not, with owners that are killed: src/vm/boot/run-directory.test.ts.
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { abandonedDirectories, makeBriefDirectory, makeOwnedDirectory } from './owned-directory.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tk-owned-'))
})

afterEach(() => rm(parent, { recursive: true }))

const all = () => true

test('is private and not abandoned while its owner lives, and goes when it is disposed', async () => {
  {
    await using owned = await makeOwnedDirectory(parent)
    expect((await stat(owned.path)).mode & 0o777).toBe(0o700)
    expect(basename(owned.path)).toMatch(new RegExp(`^testkernels-${process.pid}-\\w{6}$`))
    expect(await abandonedDirectories(parent, all)).toEqual([])
  }
  expect(await readdir(parent)).toEqual([])
})

test('where no socket fits there is none: some versions of Node would make it somewhere else', async () => {
  const deep = await mkdtemp(join(parent, 'x'.repeat(60)))
  await expect(makeOwnedDirectory(deep)).rejects.toThrow('too long a path')
  expect(await readdir(deep)).toEqual([])
})

test('one for a moment is abandoned when that was a minute ago', async () => {
  const brief = await makeBriefDirectory(parent)
  expect(await abandonedDirectories(parent, all)).toEqual([])
  await utimes(brief, 1, 1)
  expect(await abandonedDirectories(parent, all)).toEqual([brief])
  expect(await abandonedDirectories(parent, (uid) => uid !== process.getuid?.())).toEqual([])
})
