import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { neverAborted } from './deadline.ts'
import { Slots, untilClosed } from './slots.ts'

/** Lets everything that can go on go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Those who have their slot, in the order in which they got it. */
function queue(slots: Slots) {
  const having: string[] = []
  const take = async (who: string, signal = neverAborted()) => {
    const slot = await slots.take(signal)
    having.push(who)
    return slot
  }
  return { having, take }
}

test('gives out so many at a time, in the order in which they came', async () => {
  const { having, take } = queue(new Slots(2))
  const [first, second, third] = ['first', 'second', 'third', 'fourth'].map((who) => take(who))
  await settled()
  expect(having).toEqual(['first', 'second'])
  ;(await second)?.[Symbol.dispose]()
  await settled()
  expect(having).toEqual(['first', 'second', 'third'])
  ;(await first)?.[Symbol.dispose]()
  ;(await third)?.[Symbol.dispose]()
  await settled()
  expect(having).toEqual(['first', 'second', 'third', 'fourth'])
})

test('a slot that is given back twice is free once', async () => {
  const { having, take } = queue(new Slots(1))
  const first = await take('first')
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  await take('second')
  void take('third')
  await settled()
  expect(having).toEqual(['first', 'second'])
})

test('who gives up waiting loses no slot', async () => {
  const { having, take } = queue(new Slots(1))
  const first = await take('first')
  const gaveUp = new AbortController()
  const second = take('second', gaveUp.signal)
  const third = take('third')
  gaveUp.abort(new Error('changed my mind'))
  await expect(second).rejects.toThrow('changed my mind')
  first[Symbol.dispose]()
  await third
  expect(having).toEqual(['first', 'third'])
  await expect(take('late', gaveUp.signal)).rejects.toThrow('changed my mind')
})

test('who gives up in the moment of its turn passes it on', async () => {
  const { having, take } = queue(new Slots(1))
  const first = await take('first')
  const gaveUp = new AbortController()
  const second = take('second', gaveUp.signal)
  const third = take('third')
  gaveUp.abort(new Error('changed my mind'))
  first[Symbol.dispose]()
  await expect(second).rejects.toThrow('changed my mind')
  await third
  expect(having).toEqual(['first', 'third'])
})

test('what a stream holds is free when it is closed, and at once where it is closed already', async () => {
  const slots = new Slots(1)
  const { having, take } = queue(slots)
  const stream = untilClosed(new PassThrough(), await take('stream'))
  const next = take('next')
  await settled()
  expect(having).toEqual(['stream'])
  stream.destroy()
  ;(await next)[Symbol.dispose]()

  const closed = new PassThrough()
  closed.destroy()
  await once(closed, 'close')
  untilClosed(closed, await take('late'))
  await take('last')
  expect(having).toEqual(['stream', 'next', 'late', 'last'])
})
