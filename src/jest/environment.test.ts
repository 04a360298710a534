import { expect, test } from 'vitest'
import { makeTestsAbortable } from './environment.ts'
import type { CircusTest, DescribeBlock, Hook } from './jest-types.ts'

const never = () => new Promise<void>(() => {})
const hook = (type: Hook['type']): Hook => ({ type, fn: never })
const testCalled = (name: string, fn: CircusTest['fn'] = never): CircusTest => ({ type: 'test', name, fn })

function block(name: string, children: DescribeBlock['children'], hooks: Hook[] = []): DescribeBlock {
  return { type: 'describeBlock', name, children, hooks }
}

test('what needs a VM ends with it; what comes after tests, and what needs none, does not', async () => {
  const v1 = new AbortController()
  const needing = testCalled('starts')
  const other = testCalled('starts')
  const before = hook('beforeAll')
  const after = hook('afterAll')
  const root = block('ROOT', [block('on v1', [needing], [before, after]), block('on v2', [other])])
  makeTestsAbortable(root, (name) => (name.includes('v1') ? [v1.signal] : []))
  expect([after.fn, other.fn]).toEqual([never, never])
  const running = [needing.fn?.(), before.fn?.()]
  v1.abort(new Error('panic'))
  for (const one of running) await expect(one).rejects.toThrow('panic')
})

test('a test that calls back is told by calling back; a generator is left alone', () => {
  const gone = AbortSignal.abort(new Error('panic'))
  const calling = testCalled('calls', (done: unknown) => done)
  const generator = function* () {}
  const generating = testCalled('generates', generator)
  makeTestsAbortable(block('ROOT', [calling, generating]), () => [gone])
  const told: unknown[] = []
  calling.fn?.((reason: unknown) => told.push(reason))
  expect(told).toEqual([gone.reason])
  expect(generating.fn).toBe(generator)
})
