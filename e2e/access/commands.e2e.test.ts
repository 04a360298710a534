// Commands in the guest, and files to and from it: one VM for all.
import { once } from 'node:events'
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
