import { expect, test } from 'vitest'
import { InterruptedError } from './execute.ts'
import { runCommand } from './run-in-vm.ts'

const never = new AbortController().signal
const environment = { PATH: process.env['PATH'], DOCKER_CONTEXT: 'lab' }
const ofVm = { DOCKER_HOST: 'unix:///run/vm/docker.sock', DOCKER_CONTEXT: undefined }
const vm = { environment: ofVm, gone: never }
const shell = (script: string) => ['sh', '-c', script]

test('the exit status of the command is ours', async () => {
  expect(await runCommand({ vm, environment, argv: shell('exit 3'), signal: never })).toBe(3)
})

test('a command that a signal killed has 128 and its number', async () => {
  expect(await runCommand({ vm, environment, argv: shell('kill -KILL $$'), signal: never })).toBe(137)
})

test("the command has the VM's environment, and ours less what must not be set", async () => {
  const script = 'test "$DOCKER_HOST" = unix:///run/vm/docker.sock && ! printenv DOCKER_CONTEXT && test -n "$PATH"'
  expect(await runCommand({ vm, environment, argv: shell(script), signal: never })).toBe(0)
})

test('a command that is not there is an error that names it', async () => {
  const running = runCommand({ vm, environment, argv: ['no-such-program-of-ours'], signal: never })
  await expect(running).rejects.toMatchObject({
    code: 'COMMAND_NOT_FOUND',
    message: expect.stringContaining("cannot run 'no-such-program-of-ours'"),
  })
})

test('an abort ends the command', async () => {
  const abort = new AbortController()
  const running = runCommand({ vm, environment, argv: ['sleep', '1000'], signal: abort.signal })
  abort.abort()
  expect(await running).toBe(143)
})

test.each([
  ['SIGINT', 130],
  ['SIGHUP', 129],
] as const)('a command that ends because we got %s has status %i', async (signal, status) => {
  const abort = new AbortController()
  const running = runCommand({ vm, environment, argv: ['sleep', '1000'], signal: abort.signal })
  abort.abort(new InterruptedError(signal))
  expect(await running).toBe(status)
})

test('after an abort no command starts', async () => {
  const running = runCommand({
    vm,
    environment,
    argv: shell('exit 0'),
    signal: AbortSignal.abort(new Error('called off')),
  })
  await expect(running).rejects.toThrow('called off')
})

test('a VM that went away under its command is our failure, whatever the command says', async () => {
  const gone = AbortSignal.abort(new Error('the VM ended: kernel panic'))
  expect(await runCommand({ vm: { environment: ofVm, gone }, environment, argv: shell('exit 0'), signal: never })).toBe(
    125,
  )
})

test('a command leaves no listeners behind', async () => {
  const before = process.listenerCount('exit')
  await runCommand({ vm, environment, argv: shell('exit 0'), signal: never })
  expect(process.listenerCount('exit')).toBe(before)
})
