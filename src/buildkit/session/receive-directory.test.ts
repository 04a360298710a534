import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Stat, StatSchema } from '../gen/fsutil_pb.ts'
import { Destination } from './receive-directory.ts'

let base: string
let destination: Destination
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'testkernels-destination-'))
  destination = await Destination.open(join(base, 'root'))
})
afterEach(() => rm(base, { recursive: true }))

const directory = (path: string): Stat => create(StatSchema, { path, mode: 2 ** 31 + 0o755 })
const file = (path: string): Stat => create(StatSchema, { path, mode: 0o644 })
const link = (path: string, linkname: string): Stat => create(StatSchema, { path, mode: 2 ** 27 + 0o777, linkname })
const hardLink = (path: string, linkname: string): Stat => create(StatSchema, { path, mode: 0o644, linkname })

async function write(path: string, content: string): Promise<void> {
  expect(await destination.make(file(path))).toBe('content comes')
  await using opened = await destination.open(file(path))
  await opened.writeFile(content)
}

test.each([
  '../escaped',
  '..',
  '/etc/passwd',
  'never/told',
  '',
  '.',
  'dir/../../escaped',
  'dir/..',
  'nul\0',
  'x'.repeat(256),
  `dir/${'x'.repeat(300)}`,
])('the path %j is refused', async (path) => {
  await destination.make(directory('dir'))
  await expect(destination.make(file(path))).rejects.toThrow('not in the transfer')
})

test('nothing is written through a link that was sent', async () => {
  await destination.make(link('out', base))
  await expect(destination.make(file('out/escaped'))).rejects.toThrow('not in the transfer')
})

test('a link in the way of a directory is replaced, and what it leads to stays as it is', async () => {
  await mkdir(join(base, 'elsewhere'))
  await symlink(join(base, 'elsewhere'), join(base, 'root', 'dir'))
  await destination.make(directory('dir'))
  await write('dir/file', 'content')
  expect(await readdir(join(base, 'elsewhere'))).toEqual([])
  expect(await readFile(join(base, 'root/dir/file'), 'utf8')).toBe('content')
})

test('a hard link leads only to a file of the transfer', async () => {
  await writeFile(join(base, 'root/before'), 'was there')
  await expect(destination.make(hardLink('link', 'before'))).rejects.toThrow('not in the transfer')
  await expect(destination.make(hardLink('other', '../outside'))).rejects.toThrow('not in the transfer')
})

test.each([directory, file, link])(
  'no path is told twice: a directory that becomes a link would lead outside',
  async (again) => {
    await mkdir(join(base, 'elsewhere'))
    await writeFile(join(base, 'elsewhere/victim'), 'mine')
    await destination.make(directory('a'))
    const evil = create(StatSchema, { ...again('a', join(base, 'elsewhere')) })
    await expect(destination.make(evil)).rejects.toThrow('sent a path twice: "a"')
    await write('a/victim', 'theirs')
    expect(await readFile(join(base, 'elsewhere/victim'), 'utf8')).toBe('mine')
    expect(await readFile(join(base, 'root/a/victim'), 'utf8')).toBe('theirs')
  },
)

test('a directory that somebody replaces by a link meanwhile is not written through', async () => {
  await mkdir(join(base, 'elsewhere/below'), { recursive: true })
  for (const path of ['a', 'a/below']) await destination.make(directory(path))
  await destination.make(file('a/below/late'))
  await rename(join(base, 'root/a'), join(base, 'root/b'))
  await symlink(join(base, 'elsewhere'), join(base, 'root/a'))
  await chmod(join(base, 'elsewhere'), 0o711)
  for (const path of ['a/below/late', 'a/late'])
    await expect(destination.open(file(path))).rejects.toThrow('was replaced during the transfer')
  await expect(destination.make(link('a/below/link', 'x'))).rejects.toThrow('was replaced during the transfer')
  await expect(destination.finish()).rejects.toThrow('was replaced during the transfer')
  expect(await readdir(join(base, 'elsewhere'), { recursive: true })).toEqual(['below'])
  expect((await stat(join(base, 'elsewhere'))).mode & 0o777).toBe(0o711)
})

test('targets of links that no file system takes are refused', async () => {
  for (const target of ['x'.repeat(5_000), 'nul\0'])
    await expect(destination.make(link('link', target))).rejects.toThrow('not in the transfer')
})
