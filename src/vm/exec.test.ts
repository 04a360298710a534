import { once } from 'node:events'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SshConnection } from '../ssh/index.ts'
import { connectToTestServer, startTestServer, type TestServer } from '../ssh/testing/server.ts'
import { type CommandGuest, type ExecOptions, execIn, runShell } from './exec.ts'

const EVENT_DEADLINE_MS = 30_000
let server: TestServer
let connection: SshConnection
let guest: CommandGuest
const vm = new AbortController()

/** Commands run in this machine's shell: the guest is only said to be one. */
beforeEach(async () => {
  server = await startTestServer()
  connection = await connectToTestServer(server, AbortSignal.timeout(EVENT_DEADLINE_MS))
  guest = { ssh: { connection: async () => connection }, gone: vm.signal, entry: 'v2' }
})

afterEach(async () => {
  await connection.close()
  await server[Symbol.asyncDispose]()
})

const run = (command: string | readonly string[], options?: ExecOptions) => execIn(guest, command, options)

test('a string is a script, a list a program with its arguments', async () => {
  expect((await run('echo "$((1 + 1))"; exit 3')).exitCode).toBe(3)
  expect((await run('echo a | tr a b')).stdout).toBe('b\n')
  expect((await run(['echo', '$HOME', "it's"])).stdout).toBe("$HOME it's\n")
})

test('it starts in the directory and with the variables that it is given', async () => {
  const directory = await realpath(await mkdtemp(join(tmpdir(), "tk it's ")))
  const env = { GREETING: "it's $HOME", TWO: '2\n' }
  const { stdout } = await run('pwd; printf "%s|%s" "$GREETING" "$TWO"', { cwd: directory, env })
  expect(stdout).toBe(`${directory}\nit's $HOME|2\n`)
  await rm(directory, { recursive: true })
})

test('a directory that is not there is a status of its own, and the command does not run', async () => {
  const { exitCode, stdout, stderr } = await run('echo ran', { cwd: '/no/such' })
  expect({ exitCode, stdout }).toEqual({ exitCode: 126, stdout: '' })
  expect(stderr).toContain('/no/such')
})

test.each([
  [{ env: { 'A;B': '1' } }, "'A;B' cannot be the name of a variable"],
  [{ user: '-x root' }, "'-x root' cannot be the name of a user"],
])('%j is refused before anything runs', async (options, what) => {
  await expect(run(['true'], options)).rejects.toMatchObject({ code: 'INVALID_OPTION', what: `exec: ${what}` })
  expect(server.messages.filter((message) => message.includes('exec'))).toEqual([])
})

test('another user is one that the guest becomes, in place of the shell', async () => {
  const { exitCode, stderr } = await run(['id'], { user: 'no-such-user' })
  expect(exitCode).toBe(126)
  expect(stderr).toContain('no-such-user')
})

test('streams get the outputs as they come, and are not ended', async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const result = await run('echo out; echo err >&2', { stdout, stderr })
  expect(result).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  stdout.end('after\n')
  stderr.end()
  expect(await text(stdout)).toBe('out\nafter\n')
  expect(await text(stderr)).toBe('err\n')
})

test('an output that cannot be written ends the command and is the reason', async () => {
  const stdout = new Writable({ write: (_chunk, _encoding, done) => done(new Error('the disk is full')) })
  await expect(run('echo $$; exec sleep 1000', { stdout })).rejects.toThrow('the disk is full')
  await expect.poll(() => server.messages, { timeout: EVENT_DEADLINE_MS }).toContainEqual(expect.stringMatching('KILL'))
})

test('an abort ends all that the command has started, and rejects with its reason', async () => {
  const stop = new AbortController()
  const stdout = new PassThrough()
  // Neither is the process that SSH knows.
  const running = run('sleep 1001 & echo $!; sleep 1002; echo never', { stdout, signal: stop.signal })
  const [pid] = await once(stdout, 'data')
  expect(process.kill(Number(pid), 0)).toBe(true)
  stop.abort(new Error('changed my mind'))
  await expect(running).rejects.toThrow('changed my mind')
  await expect.poll(() => isRunning(Number(pid)), { timeout: EVENT_DEADLINE_MS }).toBe(false)
})

test('a command that takes too long is ended, and the error says how long', async () => {
  await expect(run(['sleep', '1003'], { timeoutMs: 200 })).rejects.toMatchObject({
    code: 'EXEC_TIMEOUT',
    message: expect.stringContaining('v2: `sleep 1003` did not end within 0.2 s'),
  })
})

test('a VM that is gone is the reason, whatever the connection looks like', async () => {
  const gone = new AbortController()
  guest = { ...guest, gone: gone.signal }
  const running = run(['sleep', '1004'])
  const reason = new Error('kernel panic')
  gone.abort(reason)
  await expect(running).rejects.toBe(reason)
})

test('a terminal has the size and the kind that it is given, and its input does not end', async () => {
  const typed = await run('read -r line; echo "<$line>"', { tty: true, stdin: 'typed\n' })
  expect(typed.stdout).toBe('<typed>\n')
  await run(['true'], { tty: { columns: 100, rows: 30 }, env: { TERM: 'vt100' } })
  expect(server.terminals).toEqual(['xterm 80x24', 'vt100 100x30'])
  expect(server.messages.filter((message) => /^Inbound: CHANNEL_EOF/.test(message))).toEqual([])
})

test('a shell without a terminal reads its commands, and its status is the result', async () => {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const running = runShell(connection, { stdin, stdout, stderr })
  stdin.end('echo "$((40 + 2))"; echo oops >&2; exit 5\n')
  expect(await running).toEqual({ exitCode: 5 })
  expect([stdout, stderr].map((stream) => String(stream.read()))).toEqual(['42\n', 'oops\n'])
  expect(server.terminals).toEqual([])
})

test('a shell on a terminal takes keys as they are pressed and follows its size, until it ends', async () => {
  const raw: boolean[] = []
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (mode: boolean) => raw.push(mode) })
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 100, rows: 30 })
  const running = runShell(connection, { stdin, stdout, stderr: new PassThrough() })
  await expect.poll(() => server.terminals, { timeout: EVENT_DEADLINE_MS }).toHaveLength(2)
  expect(raw).toEqual([true])
  Object.assign(stdout, { columns: 120, rows: 40 })
  stdout.emit('resize')
  await expect.poll(() => server.terminals, { timeout: EVENT_DEADLINE_MS }).toHaveLength(3)
  expect(server.terminals.map((one) => one.replace(/^\S+ /, ''))).toEqual(['100x30', '100x30', '120x40'])
  stdin.write('exit 3\n')
  expect(await running).toEqual({ exitCode: 3 })
  expect(raw).toEqual([true, false])
  expect([stdin.isPaused(), stdout.listenerCount('resize')]).toEqual([true, 0])
})

test('a terminal gets its mode back when the connection is lost', async () => {
  const raw: boolean[] = []
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (mode: boolean) => raw.push(mode) })
  const stdout = Object.assign(new PassThrough(), { isTTY: true })
  const running = runShell(connection, { stdin, stdout, stderr: new PassThrough() })
  await expect.poll(() => raw, { timeout: EVENT_DEADLINE_MS }).toEqual([true])
  server.cut()
  await expect(running).rejects.toMatchObject({ code: 'SSH_CONNECTION_LOST' })
  expect(raw).toEqual([true, false])
})

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
