import { chmod, link, mkdir, readdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type LocalDir, llb, localDirs } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { connect, scratchDir, solveInto } from './support.ts'

/** Gets into `directory` what the engine has after it got `dir`. Returns how many bytes went there. */
async function roundTrip(dir: LocalDir, directory: string): Promise<number> {
  await using buildkit = await connect()
  const copied = llb.scratch(platform).file(llb.copy(llb.local('source', { platform }), '/', '/'))
  let sentBytes = 0
  await solveInto(buildkit, directory, {
    definition: copied.definition(),
    attachables: [localDirs({ source: dir })],
    onStatus: ({ statuses }) => {
      for (const { id, current } of statuses)
        if (id === 'transferring source:') sentBytes = Math.max(sentBytes, current)
    },
  })
  return sentBytes
}

async function tree(root: string, below = ''): Promise<string[]> {
  const entries = await readdir(join(root, below), { withFileTypes: true })
  const nested = entries.map(async (entry) => {
    const path = join(below, entry.name)
    return entry.isDirectory() ? [`${path}/`, ...(await tree(root, path))] : [path]
  })
  return (await Promise.all(nested)).flat().sort()
}

test('a directory arrives as it is: names, content, modes, times, links', async () => {
  await using source = await scratchDir()
  await using out = await scratchDir()
  const at = (path: string) => join(source.path, path)
  const large = Buffer.alloc(300_000, 'abcdefg')
  await mkdir(at('a/b'), { recursive: true })
  await mkdir(at('a-b'))
  await mkdir(at('empty'), { mode: 0o700 })
  await writeFile(at('a/b/large'), large)
  await writeFile(at('a-b/none'), '')
  await writeFile(at('ünï, cödé ☃'), 'snow')
  await writeFile(at('tool'), '#!/bin/sh\n', { mode: 0o755 })
  await chmod(at('tool'), 0o4755)
  await utimes(at('tool'), 1_000_000_000, 1_000_000_000)
  await symlink('../tool', at('a/to-tool'))
  await link(at('a/b/large'), at('zz-same'))
  await roundTrip({ path: source.path }, out.path)

  expect(await tree(out.path)).toEqual(await tree(source.path))
  // Not toEqual: it looks at each byte by itself, for seconds.
  expect((await readFile(join(out.path, 'a/b/large'))).equals(large)).toBe(true)
  expect(await readFile(join(out.path, 'ünï, cödé ☃'), 'utf8')).toBe('snow')
  expect((await stat(join(out.path, 'tool'))).mode & 0o7777).toBe(0o4755)
  expect((await stat(join(out.path, 'empty'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(out.path, 'tool'))).mtimeMs).toBe(1_000_000_000_000)
  expect(await readlink(join(out.path, 'a/to-tool'))).toBe('../tool')
  expect((await readFile(join(out.path, 'zz-same'))).equals(large)).toBe(true)
  expect((await stat(join(out.path, 'zz-same'))).ino).toBe((await stat(join(out.path, 'a/b/large'))).ino)
})

test('what the patterns exclude stays here, what they take back goes with its directories', async () => {
  await using source = await scratchDir()
  await using out = await scratchDir()
  for (const path of [
    'node_modules/x',
    'src/main.ts',
    'src/deep/node_modules/y',
    'secret/key',
    'secret/public/info',
    'a.log',
  ]) {
    await mkdir(join(source.path, path, '..'), { recursive: true })
    await writeFile(join(source.path, path), path)
  }
  await roundTrip({ path: source.path, exclude: ['**/node_modules', 'secret', '!secret/public', '*.log'] }, out.path)
  expect(await tree(out.path)).toEqual(
    ['secret/', 'secret/public/', 'secret/public/info', 'src/', 'src/deep/', 'src/main.ts'].sort(),
  )
})

test('the next solve sends what changed and no more: new content, another mode, a file that went', async () => {
  await using source = await scratchDir()
  const at = (path: string) => join(source.path, path)
  await writeFile(at('kept'), 'same')
  await writeFile(at('large'), Buffer.alloc(1_000_000))
  await writeFile(at('changed'), 'before')
  await writeFile(at('gone'), 'soon')
  await using first = await scratchDir()
  expect(await roundTrip({ path: source.path }, first.path)).toBeGreaterThan(1_000_000)
  await writeFile(at('changed'), 'after!')
  await chmod(at('kept'), 0o600)
  await rm(at('gone'))
  await using second = await scratchDir()
  expect(await roundTrip({ path: source.path }, second.path)).toBeLessThan(10_000)
  expect(await tree(second.path)).toEqual(['changed', 'kept', 'large'])
  expect(await readFile(join(second.path, 'changed'), 'utf8')).toBe('after!')
  expect((await stat(join(second.path, 'kept'))).mode & 0o777).toBe(0o600)
})

test('two directories are never taken for each other, however alike their files look', async () => {
  await using one = await scratchDir()
  await using other = await scratchDir()
  for (const [dir, content] of [
    [one, 'from one'],
    [other, 'of other'],
  ] as const) {
    await writeFile(join(dir.path, 'file'), content)
    await utimes(join(dir.path, 'file'), 1_000_000_000, 1_000_000_000)
  }
  await using first = await scratchDir()
  await roundTrip({ path: one.path }, first.path)
  await using second = await scratchDir()
  await roundTrip({ path: other.path }, second.path)
  expect(await readFile(join(second.path, 'file'), 'utf8')).toBe('of other')
})

test('a directory that is not there, or not offered, is told by name', async () => {
  await using out = await scratchDir()
  await expect(roundTrip({ path: join(out.path, 'absent') }, out.path)).rejects.toMatchObject({
    code: 'LOCAL_DIR',
    message: expect.stringContaining(join(out.path, 'absent')),
  })
  await using buildkit = await connect()
  const definition = llb
    .scratch(platform)
    .file(llb.copy(llb.local('other', { platform }), '/', '/'))
    .definition()
  await expect(
    solveInto(buildkit, out.path, { definition, attachables: [localDirs({ source: { path: out.path } })] }),
  ).rejects.toThrow(/asks for a local directory "other"[\s\S]*given were: source/)
})
