import { expect, test } from 'vitest'
import type { Builder } from '../host/index.ts'
import { checkCaches } from './request.ts'

const engine = (imageStore: Builder['imageStore']) =>
  ({ kind: 'engine', name: 'the Docker engine 20.10.24', imageStore }) as const
const buildkitd = { kind: 'buildkitd', name: 'with a buildkitd, testkernels', imageStore: 'graphdriver' } as const
const cache = (type: string) => ({ type, attrs: {} })
const plan = { from: [], to: [], solve: 'when missing' } as const

test('an engine with graph drivers writes a cache into its image, and reads one from a registry', () => {
  checkCaches(engine('graphdriver'), { ...plan, from: [cache('registry')], to: [cache('inline')] })
})

test('an engine with the image store of containerd writes more', () => {
  checkCaches(engine('containerd'), { ...plan, from: [cache('gha')], to: [cache('registry')] })
})

test.each([
  [{ to: [cache('registry')] }, 'cannot write a build cache of type=registry'],
  [{ from: [cache('gha')] }, 'cannot read a build cache of type=gha'],
])('what the engine cannot do is told with what it can', (caches, message) => {
  expect(() => checkCaches(engine('graphdriver'), { ...plan, ...caches })).toThrow(
    expect.objectContaining({
      code: 'CACHE_UNSUPPORTED',
      message: expect.stringContaining(message),
      remedy: expect.stringContaining('containerd image store'),
    }),
  )
})

test('a buildkitd writes more, whatever the engine', () => {
  checkCaches(buildkitd, { ...plan, from: [cache('gha')], to: [cache('registry')] })
  expect(() => checkCaches(buildkitd, { ...plan, to: [cache('tape')] })).toThrow(
    'cannot write a build cache of type=tape',
  )
})
