import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { removeOlder, replaceFile, replaceFileBy, replaceFileSync } from './index.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-files-'))
})
afterEach(() => rm(directory, { recursive: true }))

test('of many that write at once one is read, whole, and nothing else is left', async () => {
  const path = join(directory, 'file')
  const contents = Array.from({ length: 20 }, (_, at) => String(at).repeat(10_000))
  await Promise.all(contents.map((content) => replaceFile(path, content)))
  expect(contents).toContain(await readFile(path, 'utf8'))
  replaceFileSync(path, 'last')
  expect(await readFile(path, 'utf8')).toBe('last')
  expect(await readdir(directory)).toEqual(['file'])
})

test('where the name cannot be given, nothing is left', async () => {
  await mkdir(join(directory, 'taken/by'), { recursive: true })
  await expect(replaceFile(join(directory, 'taken'), 'x')).rejects.toThrow()
  expect(() => replaceFileSync(join(directory, 'taken'), 'x')).toThrow()
  expect(await readdir(directory)).toEqual(['taken'])
})

test("a file that is filled piece by piece has its name when it is whole, and is the user's alone", async () => {
  const path = join(directory, 'file')
  await writeFile(path, 'older')
  const filled = await replaceFileBy(path, async (file) => {
    await file.write('piece by ')
    expect(await readFile(path, 'utf8')).toBe('older')
    await file.write('piece')
    return 'filled'
  })
  expect([filled, await readFile(path, 'utf8'), (await stat(path)).mode & 0o777]).toEqual([
    'filled',
    'piece by piece',
    0o600,
  ])
  const failing = replaceFileBy(path, async (file) => {
    await file.write('half')
    throw new Error('no room')
  })
  await expect(failing).rejects.toThrow('no room')
  expect(await readdir(directory)).toEqual(['file'])
  expect(await readFile(path, 'utf8')).toBe('piece by piece')
})

test('what a killed process left half filled goes a day later, when the next is made', async () => {
  for (const name of ['file.12-0a1b2c3d', 'file.13-0a1b2c3d', 'file.1', 'files.14-0a1b2c3d', 'x.file.15-0a1b2c3d'])
    await writeFile(join(directory, name), 'half')
  for (const name of await readdir(directory))
    if (name !== 'file.13-0a1b2c3d') await utimes(join(directory, name), 1, 1)
  await replaceFileBy(join(directory, 'file'), (file) => file.write('whole'))
  const kept = ['file', 'file.1', 'file.13-0a1b2c3d', 'files.14-0a1b2c3d', 'x.file.15-0a1b2c3d']
  expect((await readdir(directory)).sort()).toEqual(kept)
})

test('what has not changed for long goes, with what is in it', async () => {
  await mkdir(join(directory, 'old'))
  for (const name of ['old/file', 'older', 'new']) await writeFile(join(directory, name), '')
  for (const name of ['old', 'older']) await utimes(join(directory, name), 1, 1)
  await removeOlder(directory, { keptMs: 60_000 })
  expect(await readdir(directory)).toEqual(['new'])
  await removeOlder(directory, { keptMs: 60_000, now: Date.now() + 120_000 })
  expect(await readdir(directory)).toEqual([])
  await removeOlder(join(directory, 'nowhere'), { keptMs: 1 })
})

test.runIf(process.getuid?.() === 0)(
  'what another user has in a directory for all stays, and the rest goes',
  async () => {
    await chmod(directory, 0o1777)
    for (const name of ['a', 'b', 'c']) {
      await mkdir(join(directory, name))
      await writeFile(join(directory, name, 'file'), '')
    }
    await chown(join(directory, 'b'), 65_534, 65_534)
    process.seteuid?.(65_534)
    try {
      await removeOlder(directory, { keptMs: 1, now: Date.now() + 60_000 })
    } finally {
      process.seteuid?.(0)
    }
    expect(await readdir(directory)).toEqual(['a', 'c'])
  },
)
