import { expect, test } from 'vitest'
import { makeTestsAbortable, withKernels } from './environment.ts'
import type { CircusState, CircusTest, DescribeBlock, Hook } from './jest-types.ts'

const never = () => new Promise<void>(() => {})
const hook = (type: Hook['type']): Hook => ({ type, fn: never })
const root: DescribeBlock = { type: 'describeBlock', name: 'ROOT', children: [], hooks: [] }
const testCalled = (name: string, fn: CircusTest['fn'] = never): CircusTest => ({
  type: 'test',
  name,
  parent: root,
  errors: [],
  fn,
})

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
  makeTestsAbortable(root, (name) => (name.includes('v1') ? [{ gone: v1.signal }] : []))
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
  makeTestsAbortable(block('ROOT', [calling, generating]), () => [{ gone }])
  const told: unknown[] = []
  calling.fn?.((reason: unknown) => told.push(reason))
  expect(told).toEqual([gone.reason])
  expect(generating.fn).toBe(generator)
})

const request = {
  id: 'id',
  rows: [],
  place: 0,
  scope: 'suite',
  isolation: 'project',
  retryOn: 'same-vm',
  keepOnFailure: false,
} as const

class PlainEnvironment {
  readonly global = globalThis
  async setup() {}
  async teardown() {}
}

test.each([
  { project: undefined, jest: undefined, holds: 120_000 },
  { project: undefined, jest: 1000, holds: 'what Jest has' },
  { project: 600_000, jest: 1000, holds: 600_000 },
  { project: 7, jest: undefined, holds: 7 },
])("of a project's time limit $project and Jest's $jest holds $holds", async ({ project, jest, holds }) => {
  const Environment = withKernels(PlainEnvironment, {
    ...request,
    ...(project !== undefined && { testTimeoutMs: project }),
  })
  const globalConfig = jest === undefined ? {} : { testTimeout: jest }
  const environment = new Environment({ globalConfig }, { testPath: '/x.test.js' })
  const state = { testTimeout: 'what Jest has', rootDescribeBlock: block('ROOT', []) } as unknown as CircusState
  await environment.handleTestEvent?.({ name: 'setup' }, state)
  expect(state.testTimeout).toBe(holds)
})

test('a test runner that says nothing of its tests is refused by name', () => {
  const Environment = withKernels(PlainEnvironment, request)
  const config = (testRunner: string) => ({ globalConfig: {}, projectConfig: { testRunner } })
  const make = (testRunner: string) => new Environment(config(testRunner), { testPath: '/x.test.js' })
  expect(() => make('/app/node_modules/jest-jasmine2/build/index.js')).toThrow(
    expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('jest-circus, is the default'),
    }),
  )
  make('/app/node_modules/jest-circus/runner.js')
})
