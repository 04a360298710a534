import { expect, test } from 'vitest'
import { measureClock } from './control-messages.ts'

/** A clock that is 5 s ahead, read over ways that take so long there and back, in milliseconds. */
function clockOver(...ways: readonly (readonly [there: number, back: number])[]) {
  let nowMs = 0
  let readings = 0
  const read = async () => {
    const [there, back] = ways[Math.min(readings++, ways.length - 1)] ?? [0, 0]
    const askedMs = nowMs
    nowMs += there + back
    return { askedMs, answeredMs: nowMs, theirMs: askedMs + there + 5_000 }
  }
  return { read, count: () => readings }
}

test('one answer does where the way is short', async () => {
  const clock = clockOver([1, 3])
  expect(await measureClock(clock.read)).toEqual({ aheadMs: 4_999, uncertaintyMs: 2 })
  expect(clock.count()).toBe(1)
})

test('two that agree do where the way is long, and the sharper is taken', async () => {
  const clock = clockOver([52, 50], [50, 50])
  expect(await measureClock(clock.read)).toEqual({ aheadMs: 5_000, uncertaintyMs: 50 })
  expect(clock.count()).toBe(2)
})

test('a busy machine is asked until an answer is sharp', async () => {
  const clock = clockOver([300, 10], [10, 200], [4, 4])
  expect(await measureClock(clock.read)).toEqual({ aheadMs: 5_000, uncertaintyMs: 4 })
  expect(clock.count()).toBe(3)
})

test('ten answers that say different things are all that is asked for', async () => {
  const ways = Array.from({ length: 10 }, (_, at) => [100 * (at + 1), 0] as const)
  const clock = clockOver(...ways)
  expect(await measureClock(clock.read)).toEqual({ aheadMs: 5_050, uncertaintyMs: 50 })
  expect(clock.count()).toBe(10)
})
