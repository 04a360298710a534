import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Header, pack } from 'tar-stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { unpackInto } from './unpack.ts'

let directory: string
/** What the guest is to write to. */
let target: string
/** What it is not to reach. */
let outside: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-unpack-'))
  target = join(directory, 'target')
  outside = join(directory, 'outside')
  await mkdir(outside)
  await writeFile(join(outside, 'mine'), 'mine')
})
afterEach(() => rm(directory, { recursive: true }))

type Part = Partial<Header> & Pick<Header, 'name'>

function archiveOf(parts: readonly Part[], content = 'theirs'): Readable {
  const archive = pack()
  for (const part of parts) {
    if (part.type === undefined) archive.entry(part, content)
    else archive.entry({ ...part, size: 0 }).end(null)
  }
  archive.finalize()
  return Readable.from(archive)
}

const unpack = (...parts: readonly Part[]) => unpackInto(target, archiveOf(parts), 'v2')

test('a file is the target, and what was there is replaced, also where it is a link', async () => {
  await symlink(join(outside, 'mine'), target)
  await unpack({ name: './given', mode: 0o640 })
  expect(await readFile(target, 'utf8')).toBe('theirs')
  expect((await lstat(target)).mode & 0o7777).toBe(0o640)
  expect(await readFile(join(outside, 'mine'), 'utf8')).toBe('mine')
})

test("a directory's contents are added to the target, with their modes, links and further names", async () => {
  await mkdir(target)
  await writeFile(join(target, 'former'), 'former')
  await unpack(
    { name: 'tree/', type: 'directory', mode: 0o700 },
    { name: 'tree/sub/', type: 'directory', mode: 0o555 },
    { name: 'tree/sub/run', mode: 0o755 },
    { name: 'tree/again', type: 'link', linkname: 'tree/sub/run' },
    { name: 'tree/anywhere', type: 'symlink', linkname: '/etc/passwd' },
  )
  expect((await readdir(target)).sort()).toEqual(['again', 'anywhere', 'former', 'sub'])
  expect((await stat(join(target, 'sub'))).mode & 0o7777).toBe(0o555)
  const [run, again] = [await stat(join(target, 'sub/run')), await stat(join(target, 'again'))]
  expect(run.mode & 0o7777).toBe(0o755)
  expect(again.ino).toBe(run.ino)
  expect(await readlink(join(target, 'anywhere'))).toBe('/etc/passwd')
})

test('nothing is setuid, setgid or sticky', async () => {
  await unpack({ name: 'tree', type: 'directory', mode: 0o1777 }, { name: 'tree/su', mode: 0o6755 })
  expect((await stat(join(target, 'su'))).mode & 0o7777).toBe(0o755)
  expect((await stat(target)).mode & 0o7777).toBe(0o777)
})

const tree: Part = { name: 'tree', type: 'directory' }
test.each<[string, readonly Part[]]>([
  ['a name with ..', [tree, { name: 'tree/../../outside/mine' }]],
  ['a name with .. alone', [{ name: '../outside/mine' }]],
  ['an absolute name', [tree, { name: '/outside/mine' }]],
  ['another root', [tree, { name: 'outside/mine' }]],
  ['a link, and a file through it', [tree, link('tree/out', '../outside'), { name: 'tree/out/mine' }]],
  ['a file through a link that comes later', [tree, { name: 'tree/out/mine' }, link('tree/out', '../outside')]],
  [
    'two links, and a file through both',
    [tree, link('tree/a', '..'), link('tree/b', 'a/outside'), { name: 'tree/b/mine' }],
  ],
  ['a link as the target itself', [link('tree', '../outside')]],
  ['a name of a file that is not its own', [tree, { name: 'tree/x', type: 'link', linkname: 'tree/../outside/mine' }]],
  ['a name of what it did not send', [tree, { name: 'tree/x', type: 'link', linkname: 'tree/former' }]],
  ['a device', [tree, { name: 'tree/null', type: 'character-device' }]],
  ['a pipe', [tree, { name: 'tree/pipe', type: 'fifo' }]],
])('refuses %s', async (_what, parts) => {
  await mkdir(target)
  await writeFile(join(target, 'former'), 'former')
  await expect(unpack(...parts)).rejects.toMatchObject({ code: 'COPY_REFUSED', entry: 'v2' })
  expect(await readdir(outside)).toEqual(['mine'])
  expect(await readFile(join(outside, 'mine'), 'utf8')).toBe('mine')
  expect(await readFile(join(target, 'former'), 'utf8')).toBe('former')
})

test('refuses to write through a link that was in the target before', async () => {
  await mkdir(target)
  await symlink(outside, join(target, 'out'))
  await expect(unpack(tree, { name: 'tree/out/mine' })).rejects.toMatchObject({ code: 'COPY_REFUSED' })
  expect(await readFile(join(outside, 'mine'), 'utf8')).toBe('mine')
})

test('a link that was in the target before is replaced by a file of its name, and what it leads to stays', async () => {
  await mkdir(target)
  await symlink(join(outside, 'mine'), join(target, 'out'))
  await unpack(tree, { name: 'tree/out' })
  expect(await readFile(join(target, 'out'), 'utf8')).toBe('theirs')
  expect(await readFile(join(outside, 'mine'), 'utf8')).toBe('mine')
})

test.each([
  ['no archive', Buffer.from('nonsense '.repeat(1000))],
  ['an empty archive', Buffer.alloc(1024)],
])('%s is an error that says so', async (_what, bytes) => {
  await expect(unpackInto(target, Readable.from([bytes]), 'v2')).rejects.toMatchObject({ code: 'COPY_FAILED' })
})

test('an archive that ends in the middle is an error', async () => {
  const whole = Buffer.concat(await archiveOf([{ name: 'big' }], 'x'.repeat(100_000)).toArray())
  const cut = Readable.from([whole.subarray(0, 50_000)])
  await expect(unpackInto(target, cut, 'v2')).rejects.toMatchObject({ code: 'COPY_FAILED' })
})

function link(name: string, linkname: string): Part {
  return { name, type: 'symlink', linkname }
}
