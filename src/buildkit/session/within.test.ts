import { execFileSync } from 'node:child_process'
import { constants } from 'node:fs'
import { mkdir, mkdtemp, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { inDirectory, openWithin } from './within.ts'

let base: string
let root: string
beforeEach(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'testkernels-within-')))
  root = join(base, 'root')
  await mkdir(join(root, 'dir'), { recursive: true })
  await mkdir(join(base, 'secret'))
  await writeFile(join(base, 'secret/file'), 'secret')
  await writeFile(join(root, 'dir/file'), 'public')
})
afterEach(() => rm(base, { recursive: true }))

async function read(path: string): Promise<string> {
  await using file = await openWithin(root, path, constants.O_RDONLY)
  return await file.readFile('utf8')
}

test('what is there is read, also when another file has taken its place', async () => {
  expect(await read('dir/file')).toBe('public')
  await writeFile(join(root, 'new'), 'newer')
  await rename(join(root, 'new'), join(root, 'dir/file'))
  expect(await read('dir/file')).toBe('newer')
})

test('a file that was swapped for a link to another is not followed', async () => {
  await rm(join(root, 'dir/file'))
  await symlink(join(base, 'secret/file'), join(root, 'dir/file'))
  await expect(read('dir/file')).rejects.toMatchObject({ code: 'TRANSFER_FAILED' })
})

test('nor is a directory on the way to it', async () => {
  await rename(join(root, 'dir'), join(root, 'old'))
  await symlink(join(base, 'secret'), join(root, 'dir'))
  await expect(read('dir/file')).rejects.toMatchObject({ code: 'TRANSFER_FAILED' })
})

test('a pipe in its place is not waited for', async () => {
  await rm(join(root, 'dir/file'))
  execFileSync('mkfifo', [join(root, 'dir/file')])
  await using file = await openWithin(root, 'dir/file', constants.O_RDONLY)
  expect((await file.stat()).isFile()).toBe(false)
})

test('what is done in a directory is done there, when its path leads elsewhere by then', async () => {
  await inDirectory(root, 'dir', async (path) => {
    await rename(join(root, 'dir'), join(root, 'old'))
    await symlink(join(base, 'secret'), join(root, 'dir'))
    await writeFile(join(path, 'made'), 'here')
  })
  expect(await read('old/made')).toBe('here')
})
