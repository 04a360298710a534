import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
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

test.each(['../escaped', '..', '/etc/passwd', 'never/told', '', '.', 'dir/../../escaped', 'dir/..', 'nul\0'])(
  'the path %j is refused',
  async (path) => {
    await destination.make(directory('dir'))
    await expect(destination.make(file(path))).rejects.toThrow('not in the transfer')
  },
)

test('nothing is written through a link that was sent', async () => {
  await destination.make(link('out', base))
  await expect(destination.make(file('out/escaped'))).rejects.toThrow('not in the transfer')
})

test('a link in the way of a directory is replaced, and what it leads to stays as it is', async () => {
  await mkdir(join(base, 'elsewhere'))
  await symlink(join(base, 'elsewhere'), join(base, 'root', 'dir'))
  await destination.make(directory('dir'))
  const path = await destination.make(file('dir/file'))
  await writeFile(path ?? '', 'content')
  expect(await readdir(join(base, 'elsewhere'))).toEqual([])
  expect(await readFile(join(base, 'root/dir/file'), 'utf8')).toBe('content')
})

test('a hard link leads only to a file of the transfer', async () => {
  await writeFile(join(base, 'root/before'), 'was there')
  await expect(destination.make(hardLink('link', 'before'))).rejects.toThrow('not in the transfer')
  await expect(destination.make(hardLink('link', '../outside'))).rejects.toThrow('not in the transfer')
})
