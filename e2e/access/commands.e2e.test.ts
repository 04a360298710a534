// Commands in the guest, and files to and from it: one VM for all.
import { once } from 'node:events'
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
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'

let vm: StartedKernelVm
beforeAll(async () => {
  vm = await new KernelVm({ name: 'commands', kernel: 'debian:bookworm' }).start()
})
afterAll(() => vm?.stop())

test('a command has its directory, its variables, its user and its input', async () => {
  const options = { cwd: '/var/lib', user: 'nobody', env: { GREETING: "it's $me" }, stdin: 'from outside\n' }
  const { exitCode, stdout } = await vm.exec('pwd; id -un; echo "$GREETING"; cat', options)
  expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: "/var/lib\nnobody\nit's $me\nfrom outside\n" })
})

test("it starts in its user's home, or at the root where there is none", async () => {
  const startsIn = async (user: string) => (await vm.exec('pwd', { user })).stdout
  expect([await startsIn('root'), await startsIn('daemon'), await startsIn('nobody')]).toEqual([
    '/root\n',
    '/usr/sbin\n',
    '/\n',
  ])
})

test('what it cannot start from is a status, and its own status and signal are told', async () => {
  expect(await vm.exec(['true'], { cwd: '/no/such' })).toMatchObject({ exitCode: 126 })
  expect(await vm.exec(['true'], { user: 'no-such-user' })).toMatchObject({ exitCode: 126 })
  expect(await vm.exec(['no-such-program'])).toMatchObject({ exitCode: 127 })
  expect(await vm.exec('exit 7', { user: 'nobody' })).toMatchObject({ exitCode: 7 })
  expect(await vm.exec('kill -TERM $$', { user: 'nobody' })).toMatchObject({ exitCode: 143, signal: 'SIGTERM' })
})

test('a terminal is one, of the size that it is given', async () => {
  const { stdout } = await vm.exec('tty; stty size; echo to stderr >&2', { tty: { columns: 101, rows: 33 } })
  expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\n33 101\r\nto stderr\r\n$/)
})

test.each([
  ['root', 'root'],
  ['another user', 'nobody'],
])('an aborted command of %s is ended with all that it started', async (_who, user) => {
  const stop = new AbortController()
  const stdout = new PassThrough()
  // Neither is the process that SSH knows.
  const running = vm.exec('sleep 1001 & sleep 1002 | sleep 1003 & echo started; wait', {
    user,
    stdout,
    signal: stop.signal,
  })
  await once(stdout, 'data')
  expect((await vm.exec('pidof sleep | wc -w')).stdout).toBe('3\n')
  stop.abort(new Error('changed my mind'))
  await expect(running).rejects.toThrow('changed my mind')
  expect((await vm.exec('pidof sleep | wc -w')).stdout).toBe('0\n')
})

test('one that takes too long is ended, on a terminal too', async () => {
  const running = vm.exec('sleep 1004; echo never', { timeoutMs: 1_000, tty: true })
  await expect(running).rejects.toMatchObject({ code: 'EXEC_TIMEOUT' })
  expect((await vm.exec('pidof sleep | wc -w')).stdout).toBe('0\n')
})

test('one whose SSH server is killed fails with a reason, and the next has another', async () => {
  const stdout = new PassThrough()
  const running = vm.exec('echo started; sleep 1005', { stdout }).catch((error: Error) => error)
  await once(stdout, 'data')
  // By a command of the server's, which does not live to tell how it ended.
  await vm.exec('kill -9 $(pidof dropbear)').catch(() => {})
  expect(await running).toMatchObject({ code: 'SSH_CONNECTION_LOST', entry: 'commands' })
  expect((await vm.exec(['echo', 'there'])).stdout).toBe('there\n')
})

const FILES = 500

test('a tree of many files goes there and back, with modes and links', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-files-'))
  const source = join(directory, 'source')
  for (let at = 0; at < FILES; at++) {
    if (at % 100 === 0) await mkdir(join(source, `d${at / 100}`), { recursive: true })
    await writeFile(join(source, `d${Math.floor(at / 100)}/f${at}`), `${at}\n`)
  }
  await chmod(join(source, 'd1/f100'), 0o751)
  await symlink('../d1/f100', join(source, 'd2/link'))
  await link(join(source, 'd1/f100'), join(source, 'd3/again'))

  await vm.copyTo(source, '/srv/files')
  await vm.copyFrom('/srv/files', join(directory, 'back'))

  const script = `find . -type f | wc -l; stat -c '%a %U %h' d1/f100; readlink d2/link; cat d4/f499`
  expect((await vm.exec(script, { cwd: '/srv/files' })).stdout).toBe('501\n751 root 2\n../d1/f100\n499\n')
  const back = join(directory, 'back')
  expect((await readdir(back, { recursive: true })).length).toBe(FILES + 2 + FILES / 100)
  expect(await readFile(join(back, 'd4/f499'), 'utf8')).toBe('499\n')
  expect((await stat(join(back, 'd1/f100'))).mode & 0o7777).toBe(0o751)
  expect((await stat(join(back, 'd3/again'))).ino).toBe((await stat(join(back, 'd1/f100'))).ino)
  expect(await readlink(join(back, 'd2/link'))).toBe('../d1/f100')
  await rm(directory, { recursive: true })
})

test('content has the owner and the mode that are asked for', async () => {
  await vm.copyTo({ content: 'secret' }, '/srv/secret', { owner: 'nobody:daemon', mode: 0o640 })
  const { stdout } = await vm.exec("stat -c '%a %U %G' /srv/secret; cat /srv/secret")
  expect(stdout).toBe('640 nobody daemon\nsecret')
  await expect(vm.copyTo({ content: '' }, '/srv/x', { owner: 'no-such' })).rejects.toMatchObject({
    code: 'COPY_FAILED',
  })
})
