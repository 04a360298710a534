import { expect, test } from 'vitest'
import { SolveError } from '../buildkit/index.ts'
import { isOfMachine, judgeOutcome } from './bisect.ts'
import type { Outcome } from './run-in-vm.ts'

const exited = (status: number, reported: readonly string[] = []): Outcome => ({ kind: 'exited', status, reported })
const strict = { kernelReports: 'bad', vmDeath: 'bad' } as const

test.each([
  [0, 'good'],
  [1, 'bad'],
  [124, 'bad'],
  [125, 'skip'],
] as const)('status %i is %s', (status, verdict) => {
  expect(judgeOutcome(exited(status), strict).verdict).toBe(verdict)
})

test.each([126, 127, 128, 130, 255])('status %i is no verdict', (status) => {
  expect(() => judgeOutcome(exited(status), strict)).toThrow(`the command ended with status ${status}`)
})

test('a VM that died under the command is bad, or its kernel is skipped where that is asked for', () => {
  const died = { kind: 'vm-failed', why: 'kernel panic' } as const
  expect(judgeOutcome(died, strict)).toEqual({ verdict: 'bad', why: 'kernel panic' })
  expect(judgeOutcome(died, { ...strict, vmDeath: 'skip' })).toEqual({ verdict: 'skip', why: 'kernel panic' })
})

test('a fault that the kernel reported makes a run bad that passed, unless that is to be ignored; one that was skipped stays so', () => {
  const warned = ['WARNING in f', 'KASAN: use-after-free in g']
  expect(judgeOutcome(exited(0, warned), strict)).toEqual({
    verdict: 'bad',
    why: 'the kernel reported WARNING in f, KASAN: use-after-free in g',
  })
  expect(judgeOutcome(exited(0, warned), { ...strict, kernelReports: 'ignore' }).verdict).toBe('good')
  expect(judgeOutcome(exited(125, warned), strict).verdict).toBe('skip')
})

test('a build that ran out of disk, or that the engine ended, says nothing of a kernel', () => {
  const details = { what: 'the engine could not build', remedy: 'see below', logTail: ['cc: error'] }
  expect(isOfMachine(new SolveError({ ...details, exitCode: 2 }))).toBe(false)
  expect(isOfMachine(new SolveError(details))).toBe(true)
  const full = ['as: output: No space left on device', 'make: *** [x.o] Error 1']
  expect(isOfMachine(new SolveError({ ...details, exitCode: 2, logTail: full }))).toBe(true)
  expect(isOfMachine(new Error('unknown kernel'))).toBe(false)
})
