import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SshConnection } from '../ssh/index.ts'
import { connectToTestServer, startTestServer, type TestServer } from '../ssh/testing/server.ts'
import { copyFrom, copyTo } from './copy.ts'
import type { CommandGuest } from './exec.ts'

const EVENT_DEADLINE_MS = 30_000
/** Commands run as who runs the tests, who may give files to nobody else. */
const owner = `${process.getuid?.()}:${process.getgid?.()}`
let server: TestServer
let connection: SshConnection
let guest: CommandGuest
let directory: string
let source: string
let target: string

/** Commands run in this machine's shell: the guest is only said to be one. */
beforeEach(async () => {
  server = await startTestServer()
  connection = await connectToTestServer(server, AbortSignal.timeout(EVENT_DEADLINE_MS))
  guest = { ssh: { connection: async () => connection }, gone: new AbortController().signal, entry: 'v2' }
  directory = await mkdtemp(join(tmpdir(), 'tk-copy-'))
  source = join(directory, "it's a source")
  target = join(directory, 'a/new/target')
  await mkdir(source)
})

afterEach(async () => {
  await connection.close()
  await server[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const modeOf = async (path: string) => (await stat(path)).mode & 0o7777

test.each([
  ['to', (from: string, to: string) => copyTo(guest, from, to, { owner })],
  ['from', (from: string, to: string) => copyFrom(guest, from, to)],
])('a tree is copied %s the guest with its modes, links, further names and long names', async (_way, copy) => {
  const long = 'x'.repeat(150)
  await mkdir(join(source, 'sub', long), { recursive: true })
  await writeFile(join(source, 'sub', long, 'file'), 'deep')
  await writeFile(join(source, 'run'), '#!/bin/sh\n', { mode: 0o755 })
  await writeFile(join(source, 'empty'), '')
  await writeFile(join(source, 'large'), Buffer.alloc(3_000_000, 'x'))
  await link(join(source, 'run'), join(source, 'sub/again'))
  await symlink('../nowhere', join(source, 'sub/dangling'))
  await chmod(join(source, 'sub'), 0o750)

  await copy(source, target)

  expect((await readdir(target, { recursive: true })).sort()).toEqual(
    (await readdir(source, { recursive: true })).sort(),
  )
  expect(await readFile(join(target, 'sub', long, 'file'), 'utf8')).toBe('deep')
  expect((await readFile(join(target, 'large'))).equals(await readFile(join(source, 'large')))).toBe(true)
  expect([await modeOf(join(target, 'run')), await modeOf(join(target, 'sub'))]).toEqual([0o755, 0o750])
  expect((await stat(join(target, 'run'))).ino).toBe((await stat(join(target, 'sub/again'))).ino)
  expect(await readlink(join(target, 'sub/dangling'))).toBe('../nowhere')
})

test('a file is copied to the path that it is given, or by its own name into a directory', async () => {
  const file = join(source, 'file')
  await writeFile(file, 'content', { mode: 0o600 })
  await copyTo(guest, file, target, { owner })
  expect([await readFile(target, 'utf8'), await modeOf(target)]).toEqual(['content', 0o600])
  await copyTo(guest, file, `${directory}/`, { owner, mode: 0o444 })
  expect(await modeOf(join(directory, 'file'))).toBe(0o444)
})

test('of a link that is named, what it leads to is copied', async () => {
  await writeFile(join(source, 'file'), 'content')
  await symlink('file', join(source, 'link'))
  await copyTo(guest, join(source, 'link'), target, { owner })
  await copyFrom(guest, join(source, 'link'), join(directory, 'back'))
  expect(await readFile(target, 'utf8')).toBe('content')
  expect(await readFile(join(directory, 'back'), 'utf8')).toBe('content')
})

test('content becomes a file, or files of a directory that is there or not', async () => {
  await copyTo(guest, { content: 'héllo' }, join(target, 'file'), { owner })
  await copyTo(guest, { files: { 'a/b.txt': 'one', c: Buffer.from('two') } }, target, { owner, mode: 0o600 })
  expect(await readFile(join(target, 'file'), 'utf8')).toBe('héllo')
  expect(await readFile(join(target, 'a/b.txt'), 'utf8')).toBe('one')
  expect([await modeOf(join(target, 'file')), await modeOf(join(target, 'c'))]).toEqual([0o644, 0o600])
})

test('a directory that is there keeps its mode', async () => {
  await mkdir(target, { recursive: true })
  await chmod(target, 0o1777)
  await writeFile(join(source, 'file'), '')
  await copyTo(guest, source, target, { owner })
  expect(await modeOf(target)).toBe(0o1777)
})

test.each([
  ['a relative target', () => copyTo(guest, { content: '' }, 'relative'), "'relative' is no path of the guest"],
  ['content without a name', () => copyTo(guest, { content: '' }, '/srv/'), "'/srv/' is no path of a file"],
  [
    'files outside of the target',
    () => copyTo(guest, { files: { 'a/../../b': '' } }, '/srv'),
    "'a/../../b' is no path",
  ],
  ['a relative source', () => copyFrom(guest, 'relative', target), "'relative' is no path of the guest"],
  ['the whole guest', () => copyFrom(guest, '/', target), '/ is the whole guest'],
])('%s is refused before anything runs', async (_what, copy, why) => {
  await expect(copy()).rejects.toMatchObject({ code: 'INVALID_OPTION', what: expect.stringContaining(why) })
  expect(server.messages.filter((message) => message.includes('exec'))).toEqual([])
})

test.each([
  ['a source that is not there', () => copyTo(guest, join(source, 'none'), target, { owner }), 'ENOENT'],
  ['a source in the guest that is not there', () => copyFrom(guest, join(source, 'none'), target), 'no such file'],
  ['a target below a file', () => copyTo(guest, { content: '' }, '/etc/passwd/file', { owner }), '/etc/passwd'],
  ['an owner that is not there', () => copyTo(guest, { content: '' }, target, { owner: 'no-such' }), 'no-such'],
])('%s is an error that says so', async (_what, copy, why) => {
  await expect(copy()).rejects.toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining(why) })
})

test('what is no file, directory or link is an error before anything is copied', async () => {
  const socket = createServer().listen(join(source, 'socket'))
  await expect(copyTo(guest, source, target, { owner })).rejects.toMatchObject({
    code: 'COPY_FAILED',
    message: expect.stringContaining("it's a source/socket is no file, directory or link"),
  })
  socket.close()
  await expect(stat(target)).rejects.toThrow('ENOENT')
})

test('a copy that is called off rejects with the reason', async () => {
  await writeFile(join(source, 'large'), Buffer.alloc(20_000_000))
  const reason = new Error('changed my mind')
  await expect(copyTo(guest, source, target, { owner, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  await expect(copyFrom(guest, source, target, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
})
