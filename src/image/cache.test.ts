import { expect, test } from 'vitest'
import type { Engine } from '../engine/index.ts'
import type { Builder } from './builder.ts'
import { checkCaches } from './cache.ts'

const engine = (imageStore: Engine['imageStore']) => ({ version: '20.10.24', imageStore }) as Engine
const builder = (kind: Builder['kind']) => ({ kind }) as Builder
const cache = (type: string) => ({ type, attrs: {} })
const plan = { from: [], to: [], solve: 'when missing' } as const

test('an engine with graph drivers writes a cache into its image, and reads one from a registry', () => {
  checkCaches(engine('graphdriver'), builder('engine'), { ...plan, from: [cache('registry')], to: [cache('inline')] })
})

test('an engine with the image store of containerd writes more', () => {
  checkCaches(engine('containerd'), builder('engine'), { ...plan, from: [cache('gha')], to: [cache('registry')] })
})

test.each([
  [{ to: [cache('registry')] }, 'cannot write a build cache of type=registry'],
  [{ from: [cache('gha')] }, 'cannot read a build cache of type=gha'],
])('what the engine cannot do is told with what it can', (caches, message) => {
  expect(() => checkCaches(engine('graphdriver'), builder('engine'), { ...plan, ...caches })).toThrow(
    expect.objectContaining({
      code: 'CACHE_UNSUPPORTED',
      message: expect.stringContaining(message),
      remedy: expect.stringContaining('containerd image store'),
    }),
  )
})

test('a buildkitd writes more, whatever the engine', () => {
  checkCaches(engine('graphdriver'), builder('buildkitd'), { ...plan, from: [cache('gha')], to: [cache('registry')] })
  expect(() => checkCaches(engine('graphdriver'), builder('buildkitd'), { ...plan, to: [cache('tape')] })).toThrow(
    'cannot write a build cache of type=tape',
  )
})
