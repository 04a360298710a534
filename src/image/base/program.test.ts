import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { startProgram } from './program.ts'

const shell = (script: string) => ({ file: 'sh', args: ['-c', script] })

test('gives the output of a program that succeeds', async () => {
  await using program = await startProgram(shell('echo working >&2; echo output'))
  expect(await text(program.output)).toBe('output\n')
  expect(await program.messages()).toBe('working\n')
})

test('the output of a program that fails has no end, so that half of it never passes for the whole', async () => {
  await using program = await startProgram(shell('echo half; echo "no space" >&2; exit 3'))
  await expect(text(program.output)).rejects.toThrow('sh ended with exit code 3')
  expect(await program.messages()).toBe('no space\n')
})

test('a program that is not there', async () => {
  await using program = await startProgram({ file: 'testkernels-no-such-program', args: [] })
  await expect(text(program.output)).rejects.toThrow('ENOENT')
})

test('disposing ends the program with all its children, and waits for its clean-up', async () => {
  const child = `sh -c 'echo "$$"; exec sleep 1000'`
  const program = await startProgram(shell(`trap 'wait; exit 1' TERM; ${child} & wait`))
  const [childPid] = await once(program.output, 'data')
  await program[Symbol.asyncDispose]()
  expect(isAlive(Number(childPid))).toBe(false)
})

test('one that does not clean up in time is killed', async () => {
  const program = await startProgram({ ...shell("trap '' TERM; echo $$; exec sleep 1000"), cleanUpTimeoutMs: 1 })
  const [pid] = await once(program.output, 'data')
  await program[Symbol.asyncDispose]()
  expect(isAlive(Number(pid))).toBe(false)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
