import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { goMode, kindOf, unixPermissions, type WalkOptions, walk } from './walk.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'testkernels-walk-'))
})
afterEach(() => rm(root, { recursive: true }))

async function make(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), path)
  }
}

async function pathsOf(options?: WalkOptions): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of walk(root, options)) paths.push(path)
  return paths
}

test('a directory comes before its content, and names in the order of their bytes', async () => {
  await make('b/x', 'b-/y', 'b.txt', 'B', 'ä', '😀', '\uff5e')
  expect(await pathsOf()).toEqual(['B', 'b', 'b/x', 'b-', 'b-/y', 'b.txt', 'ä', '\uff5e', '😀'])
})

test('a directory that is left out is sent after all when something in it is taken back', async () => {
  await make('a/b/keep', 'a/b/drop', 'a/drop', 'c/drop')
  expect(await pathsOf({ exclude: ['*', '!a/b/keep'] })).toEqual(['a', 'a/b', 'a/b/keep'])
})

test('what is included brings the directories it is in, and no others', async () => {
  await make('docker/Dockerfile', 'docker/other', 'src/main.ts', 'src/deep/x', 'z')
  expect(await pathsOf({ include: ['docker/Dockerfile', 'src/deep'] })).toEqual([
    'docker',
    'docker/Dockerfile',
    'src',
    'src/deep',
    'src/deep/x',
  ])
})

test('a link stays a link, and a socket stays here', async () => {
  await make('file')
  await symlink('file', join(root, 'link'))
  const server = createServer().listen(join(root, 'socket'))
  await once(server, 'listening')
  const seen: [string, string, string][] = []
  for await (const { path, mode, linkname } of walk(root)) seen.push([path, kindOf(mode), linkname])
  server.close()
  expect(seen).toEqual([
    ['file', 'file', ''],
    ['link', 'symlink', 'file'],
  ])
})

test('a name that is not UTF-8 is told, unless it is left out anyway', async () => {
  await writeFile(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.of(0xe9)]), '')
  await expect(pathsOf()).rejects.toMatchObject({ code: 'FILE_NAME_NOT_UTF8' })
  expect(await pathsOf({ exclude: ['caf*'] })).toEqual([])
})

const stats = (mode: number, kind: 'file' | 'directory' | 'symlink') => ({
  mode: BigInt(mode),
  isDirectory: () => kind === 'directory',
  isSymbolicLink: () => kind === 'symlink',
})

test.each([
  [0o100644, 'file', 0o644],
  [0o104755, 'file', 2 ** 23 + 0o755],
  [0o102755, 'file', 2 ** 22 + 0o755],
  [0o041777, 'directory', 2 ** 31 + 2 ** 20 + 0o777],
  [0o120777, 'symlink', 2 ** 27 + 0o777],
] as const)('mode %o of a %s is %i in Go, and back', (unix, kind, go) => {
  expect(goMode(stats(unix, kind))).toBe(go)
  expect(kindOf(go)).toBe(kind)
  expect(unixPermissions(go)).toBe(unix & 0o7777)
})

test('devices, pipes and sockets are special', () => {
  expect([2 ** 26, 2 ** 26 + 2 ** 21, 2 ** 25, 2 ** 24].map(kindOf)).toEqual(Array(4).fill('special'))
})
