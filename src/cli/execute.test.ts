import { afterEach, expect, test, vi } from 'vitest'
import { waitingFor } from '../lifetime/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import { EXIT_OWN_FAILURE, exitCodeOf, exitOnSignals, exitStatusOf, InterruptedError } from './execute.ts'

afterEach(() => vi.useRealTimers())

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

test('the first signal aborts, and says what keeps us when the end takes long', () => {
  vi.useFakeTimers()
  const before = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).flatMap((name) => process.listeners(name))
  const { lines, report } = reports()
  const signal = exitOnSignals(report)
  using _wait = waitingFor('the Docker engine to answer DELETE /containers/x')
  process.emit('SIGTERM')
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    for (const ours of process.listeners(name)) if (!before.includes(ours)) process.off(name, ours)
  expect(signal.reason).toBeInstanceOf(InterruptedError)
  expect(lines).toEqual([])
  vi.advanceTimersByTime(10_000)
  expect(lines).toEqual([
    'still ending; once more ends at once\n  waiting for the Docker engine to answer DELETE /containers/x',
  ])
})

test('a signal is 128 and its number', () => {
  expect([exitCodeOf('SIGINT'), exitCodeOf('SIGKILL'), exitCodeOf('SIGTERM')]).toEqual([130, 137, 143])
})
