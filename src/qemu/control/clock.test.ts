import { expect, test } from 'vitest'
import { offsetOf } from './clock.ts'

test('a clock that is right is ahead by nothing, to within half the way there and back', () => {
  expect(offsetOf({ askedMs: 1000, answeredMs: 1010, theirMs: 1005 })).toEqual({ aheadMs: 0, uncertaintyMs: 5 })
})

test('a clock that stood still is behind', () => {
  expect(offsetOf({ askedMs: 48_000, answeredMs: 48_002, theirMs: 1 })).toEqual({ aheadMs: -48_000, uncertaintyMs: 1 })
})
