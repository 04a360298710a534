import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { startCommandWatcher } from './command-watcher.ts'

/** A process of Node that reads TypeScript, and a shell's grace, on a busy machine. */
const DEADLINE_MS = 60_000

/** A process that runs a command as `testkernels run` does. Its output has an end when it and all that it started have ended. */
function startRunner(script: string) {
  const module = new URL('./run-in-vm.ts', import.meta.url).pathname
  const code = `
    const { createJiti } = await import('jiti')
    const { runCommand } = await createJiti(${JSON.stringify(module)}).import(${JSON.stringify(module)})
    const signal = new AbortController().signal
    process.once('SIGTERM', () => process.exit(143))
    await runCommand({
      vm: { environment: {}, gone: signal }, environment: process.env, argv: ['sh', '-c', ${JSON.stringify(script)}], signal
    })`
  return spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'a command and what it started end with their owner, by %s',
  {
    timeout: DEADLINE_MS,
  },
  async (signal) => {
    const runner = startRunner('sleep 1000 & echo up; wait')
    await once(runner.stdout, 'data')
    const ended = text(runner.stdout)
    runner.kill(signal)
    expect(await ended).toBe('')
  },
)

test('a command whose owner was killed may clean up', { timeout: DEADLINE_MS }, async () => {
  const runner = startRunner('trap "echo cleaned up; exit" TERM; sleep 1000 & echo up; wait')
  await once(runner.stdout, 'data')
  const ended = text(runner.stdout)
  runner.kill('SIGKILL')
  expect(await ended).toBe('cleaned up\n')
})

test('one that does not listen is killed', { timeout: DEADLINE_MS }, async () => {
  const runner = startRunner('trap "" TERM; echo up; sleep 1000')
  await once(runner.stdout, 'data')
  const ended = text(runner.stdout)
  runner.kill('SIGKILL')
  expect(await ended).toBe('')
})

test('ends a command at once when it is told to', async () => {
  const watcher = startCommandWatcher()
  const command = spawn('sleep', ['1000'])
  watcher.watch(command)
  watcher.kill()
  expect(await once(command, 'exit')).toEqual([null, 'SIGKILL'])
  watcher.ended()
})

test.runIf(process.platform === 'linux')('finds a command whose owner died before it could name it', async () => {
  const watcher = startCommandWatcher()
  const command = spawn('sleep', ['1000'], { env: { ...process.env, ...watcher.environment } })
  watcher.kill()
  expect(await once(command, 'exit')).toEqual([null, 'SIGKILL'])
  watcher.ended()
})
