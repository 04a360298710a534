import { expect, test, vi } from 'vitest'
import { orAborted, startDeadline } from './deadline.ts'

test('fails the work with its own error when the time is up', async () => {
  using deadline = startDeadline({ ms: 1, onPassed: () => new Error('too late') })
  await expect(orAborted(new Promise(() => {}), deadline.signal)).rejects.toThrow('too late')
  expect(deadline.remainingMs()).toBe(0)
})

test('an outer abort passes through with its reason', async () => {
  const outer = new AbortController()
  using deadline = startDeadline({ ms: 60_000, onPassed: () => new Error('too late'), signal: outer.signal })
  outer.abort(new Error('stopped by the user'))
  await expect(orAborted(new Promise(() => {}), deadline.signal)).rejects.toThrow('stopped by the user')
})

test('work that ends in time keeps its result', async () => {
  using deadline = startDeadline({ ms: 60_000, onPassed: () => new Error('too late') })
  expect(await orAborted(Promise.resolve(7), deadline.signal)).toBe(7)
})

test('work that fails after the abort fails nobody', async () => {
  const unhandled = new Promise((_, reject) => process.once('unhandledRejection', reject))
  unhandled.catch(() => {})
  const work = Promise.reject(new Error('of no interest'))
  await expect(orAborted(work, AbortSignal.abort(new Error('called off')))).rejects.toThrow('called off')
  // Node tells of unhandled rejections once the microtasks are done.
  await Promise.race([unhandled, new Promise((resolve) => setImmediate(resolve))])
})

test('while it is paused no time passes, and it can be given all its time again', () => {
  vi.useFakeTimers()
  try {
    using deadline = startDeadline({ ms: 100, onPassed: () => new Error('too late') })
    vi.advanceTimersByTime(60)
    const pause = deadline.pause()
    vi.advanceTimersByTime(1000)
    pause[Symbol.dispose]()
    vi.advanceTimersByTime(30)
    expect(deadline.signal.aborted).toBe(false)
    deadline.restart()
    vi.advanceTimersByTime(90)
    expect(deadline.signal.aborted).toBe(false)
    vi.advanceTimersByTime(10)
    expect(deadline.signal.aborted).toBe(true)
  } finally {
    vi.useRealTimers()
  }
})
