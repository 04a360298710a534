import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { keepAlive } from './keep-alive.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a process lives until nobody needs it any more', () => {
  const [first, second] = [keepAlive(), keepAlive()]
  first()
  first()
  expect(vi.getTimerCount()).toBe(1)
  second()
  expect(vi.getTimerCount()).toBe(0)
})

test('a child whose parent is gone need not live', () => {
  const others = process.listeners('disconnect')
  const letGo = keepAlive()
  const [ours] = process.listeners('disconnect').filter((listener) => !others.includes(listener))
  ours?.call(process)
  expect(vi.getTimerCount()).toBe(0)
  letGo()
  expect(process.listeners('disconnect')).toEqual(others)
})
