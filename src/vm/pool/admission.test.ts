import { expect, test } from 'vitest'
import { createLogger, silentLogger } from '../../log/index.ts'
import { Admission } from './admission.ts'

const signal = new AbortController().signal
const quiet = { log: silentLogger, signal, neededMib: 100 }

function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** Lets everything that can go on go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('starts no more at a time than it may, in the order in which they came', async () => {
  const admission = new Admission({ starts: 1, availableMib: async () => 1000 })
  const order: string[] = []
  const first = gate()
  const starts = [
    admission.start(() => first.opened.then(() => order.push('first')), quiet),
    admission.start(async () => order.push('second'), quiet),
    admission.start(async () => order.push('third'), quiet),
  ]
  await settled()
  expect(order).toEqual([])
  expect(admission.idle).toBe(false)
  first.open()
  await Promise.all(starts)
  expect(order).toEqual(['first', 'second', 'third'])
  expect(admission.idle).toBe(true)
})

test('waits for memory until a VM ends, and says so once', async () => {
  let available = 1000
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const admission = new Admission({ starts: 2, availableMib: async () => available })
  await admission.start(async () => {}, quiet)
  available = 50
  let started = false
  const second = admission.start(
    async () => {
      started = true
    },
    { ...quiet, log },
  )
  await settled()
  expect(started).toBe(false)
  expect(lines).toEqual(['waiting for a VM to end: 50 MiB of memory are free, 100 are needed'])
  available = 500
  admission.ended()
  await second
  expect(started).toBe(true)
})

test('does not wait for memory that nobody would give back', async () => {
  const admission = new Admission({ starts: 1, availableMib: async () => 1 })
  await expect(admission.start(async () => 'started', quiet)).resolves.toBe('started')
})

test('a wait that is called off lets the next one in', async () => {
  const admission = new Admission({ starts: 1, availableMib: async () => 1000 })
  const first = gate()
  const running = admission.start(() => first.opened, quiet)
  const cancel = new AbortController()
  const cancelled = admission.start(async () => {}, { ...quiet, signal: cancel.signal })
  cancel.abort(new Error('enough'))
  await expect(cancelled).rejects.toThrow('enough')
  const third = admission.start(async () => 'third', quiet)
  first.open()
  await running
  await expect(third).resolves.toBe('third')
})
