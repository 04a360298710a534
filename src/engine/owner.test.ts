import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { formatOwner, newOwnership, type Owner, ownerState, parseOwner, runLabels, thisOwner } from './owner.ts'

const local = { locality: 'local' } as const
const me = thisOwner()

test('survives the way through a label', () => {
  expect(parseOwner(formatOwner(me))).toEqual(me)
  expect(parseOwner(formatOwner({ pid: 7, host: 'mac.example.org' }))).toEqual({ pid: 7, host: 'mac.example.org' })
  expect(parseOwner('somebody')).toBeUndefined()
})

test('each run has an id of its own and the same owner', () => {
  const [first, second] = [newOwnership(), newOwnership()]
  expect(first.run).not.toBe(second.run)
  expect(runLabels(first, 'cgroupv1')).toEqual({
    'testkernels.run': first.run,
    'testkernels.owner': formatOwner(me),
    'testkernels.entry': 'cgroupv1',
  })
})

test('this process lives', () => {
  expect(ownerState(me, local)).toBe('alive')
})

test('a process that has ended is dead', async () => {
  const child = spawn('true')
  await once(child, 'exit')
  expect(ownerState({ ...me, pid: child.pid ?? 0 }, local)).toBe('dead')
})

test
  .runIf(process.platform === 'linux')
  .each<[string, 'alive' | 'dead' | 'unknown', Partial<NonNullable<Owner['process']>>]>([
    ['started at another time, so another process with the same id', 'dead', { startTicks: '1' }],
    ['of an earlier boot', 'dead', { bootId: 'earlier' }],
    ['of another container', 'unknown', { pidNamespace: '1' }],
  ])('a process %s is %s', (_, state, difference) => {
  expect(ownerState({ ...me, process: { ...me.process, ...difference } as never }, local)).toBe(state)
})

describe('an owner that cannot be judged from here', () => {
  test('is on another machine', () => {
    expect(ownerState({ ...me, host: 'elsewhere.example.org' }, local)).toBe('unknown')
  })

  test.runIf(process.platform === 'linux')('has our host name and another boot on a shared engine', () => {
    const twin = { ...me, process: { ...me.process, bootId: 'of a twin' } as never }
    expect(ownerState(twin, { locality: 'remote' })).toBe('unknown')
  })
})
