import { expect, test } from 'vitest'
import { InvalidOptionError } from '../options/index.ts'
import { EXIT_OWN_FAILURE, exitCodeOf, exitStatusOf, InterruptedError } from './exit.ts'

function reports() {
  const lines: string[] = []
  return { lines, report: (line: string) => void lines.push(line) }
}

test('the status of the work is passed on', async () => {
  const { lines, report } = reports()
  expect(await exitStatusOf(async () => 7, { report })).toBe(7)
  expect(lines).toEqual([])
})

test('an error of ours is reported with code and remedy, without a stack', async () => {
  const { lines, report } = reports()
  const fail = async () => {
    throw new InvalidOptionError({ what: 'cpus must be a number', remedy: 'give one' })
  }
  expect(await exitStatusOf(fail, { report })).toBe(EXIT_OWN_FAILURE)
  expect(lines).toEqual([
    'error [INVALID_OPTION]: cpus must be a number\n  remedy: give one\n  more: npx testkernels explain INVALID_OPTION',
  ])
})

test('after Ctrl-C the status is that of the signal, whatever the work failed with, and nothing is reported', async () => {
  const { lines, report } = reports()
  const signal = AbortSignal.abort(new InterruptedError('SIGINT'))
  const fail = async () => {
    throw new Error('the build was cancelled')
  }
  expect(await exitStatusOf(fail, { signal, report })).toBe(130)
  expect(lines).toEqual([])
})

test('a signal is 128 and its number', () => {
  expect([exitCodeOf('SIGINT'), exitCodeOf('SIGKILL'), exitCodeOf('SIGTERM')]).toEqual([130, 137, 143])
})
