import { expect, test } from 'vitest'
import { Slots } from './slots.ts'

const never = new AbortController().signal

/** Work that ends when it is told to. */
function work() {
  const state = { begun: false }
  let end = () => {}
  let fail = () => {}
  const done = new Promise<void>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  return {
    state,
    end,
    fail,
    start: () => {
      state.begun = true
      return done
    },
  }
}

test('does so many at a time, in the order in which they came', async () => {
  const slots = new Slots(2)
  const works = [work(), work(), work(), work()] as const
  const running = works.map(({ start }) => slots.run(start, never))
  const begun = () => works.map(({ state }) => state.begun)
  await Promise.resolve()
  expect(begun()).toEqual([true, true, false, false])
  works[1].end()
  await running[1]
  await expect.poll(begun).toEqual([true, true, true, false])
  works[0].fail()
  await expect(running[0]).rejects.toBeUndefined()
  await expect.poll(begun).toEqual([true, true, true, true])
  works[2].end()
  works[3].end()
  await Promise.all([running[2], running[3]])
})

test('who gives up waiting loses no slot', async () => {
  const slots = new Slots(1)
  const [first, second, third] = [work(), work(), work()]
  const running = slots.run(first.start, never)
  const gaveUp = new AbortController()
  const waiting = slots.run(second.start, gaveUp.signal)
  const last = slots.run(third.start, never)
  gaveUp.abort(new Error('changed my mind'))
  await expect(waiting).rejects.toThrow('changed my mind')
  first.end()
  third.end()
  await Promise.all([running, last])
  expect(second.state.begun).toBe(false)
  await expect(slots.run(second.start, gaveUp.signal)).rejects.toThrow('changed my mind')
})
