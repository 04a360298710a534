import { afterEach, expect, test, vi } from 'vitest'
import { neverAborted } from '../../lifetime/index.ts'
import { createLogger, silentLogger } from '../../log/index.ts'
import { Admission } from './admission.ts'

const waiting = { entry: 'v1', log: silentLogger, signal: neverAborted(), memoryWaitMs: Number.POSITIVE_INFINITY }

function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

afterEach(() => void vi.useRealTimers())

/** Lets everything that can go on go on. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('lets no more start at a time than may, in the order in which they came, and says who waits', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const admission = new Admission({ starts: 1, availableMib: async () => 1000 })
  const order: string[] = []
  const take = async (who: string) => {
    using _turn = await admission.turn({ ...waiting, log })
    order.push(who)
    await settled()
  }
  const first = await admission.turn({ ...waiting, log })
  const others = [take('second'), take('third')]
  await settled()
  expect(order).toEqual([])
  expect(lines).toEqual(Array(2).fill('waiting for another start to end: 1 at a time'))
  first[Symbol.dispose]()
  await Promise.all(others)
  expect(order).toEqual(['second', 'third'])
})

test('waits for memory until a VM ends, and says so once', async () => {
  let available = 1000
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const admission = new Admission({ starts: 2, availableMib: async () => available })
  const [first, other] = [gate(), gate()]
  for (const { opened } of [first, other]) {
    using turn = await admission.turn(waiting)
    await turn.memory(100)
    turn.started(opened)
  }
  available = 50
  let admitted = false
  using turn = await admission.turn({ ...waiting, log })
  const memory = turn.memory(100).then(() => {
    admitted = true
  })
  await settled()
  expect(lines).toEqual(['waiting for a VM to end: 50 MiB of memory are free, 100 are needed'])
  first.open()
  await settled()
  expect(admitted).toBe(false)
  expect(lines).toHaveLength(1)
  available = 500
  other.open()
  await memory
  expect(admitted).toBe(true)
})

test('does not wait for memory that nobody would give back', async () => {
  const admission = new Admission({ starts: 1, availableMib: async () => 1 })
  using turn = await admission.turn(waiting)
  await expect(turn.memory(100)).resolves.toBeUndefined()
})

test('a wait that is called off lets the next one in', async () => {
  const admission = new Admission({ starts: 1, availableMib: async () => 1000 })
  const first = await admission.turn(waiting)
  const cancel = new AbortController()
  const cancelled = admission.turn({ ...waiting, signal: cancel.signal })
  const third = admission.turn(waiting)
  cancel.abort(new Error('enough'))
  await expect(cancelled).rejects.toThrow('enough')
  first[Symbol.dispose]()
  ;(await third)[Symbol.dispose]()
})

test('ends what is expendable before it waits, one at a time', async () => {
  let available = 0
  let left = 3
  const admission = new Admission({ starts: 1, availableMib: async () => available })
  const endOne = async () => {
    if (left === 0) return false
    left--
    available += 60
    return true
  }
  using _expendable = admission.addExpendable({ endOne })
  using turn = await admission.turn(waiting)
  await turn.memory(100)
  expect(left).toBe(1)
})

test('has no room for a spare that would leave none for a clone, or while a start waits for memory', async () => {
  let available = 255
  const admission = new Admission({ starts: 2, availableMib: async () => available })
  expect(await admission.hasRoomForSpare()).toBe(false)
  available = 256
  expect(await admission.hasRoomForSpare()).toBe(true)
  using living = await admission.turn(waiting)
  const vm = gate()
  living.started(vm.opened)
  using turn = await admission.turn(waiting)
  const memory = turn.memory(300)
  await expect.poll(() => admission.isShort).toBe(true)
  expect(await admission.hasRoomForSpare()).toBe(false)
  vm.open()
  await memory
  expect(admission.isShort).toBe(false)
})

/** A machine with memory for one VM, which runs. */
async function full() {
  const memory = { availableMib: 1000 }
  const admission = new Admission({ starts: 2, availableMib: async () => memory.availableMib })
  const vm = gate()
  using first = await admission.turn(waiting)
  first.started(vm.opened)
  memory.availableMib = 50
  return { admission, memory, vm }
}

test('says what is short where no VM ends in time, and lets the next one in', async () => {
  const { admission } = await full()
  for (const entry of ['v2', 'v3', 'v4']) {
    using turn = await admission.turn({ ...waiting, entry, memoryWaitMs: 1 })
    await expect(turn.memory(100)).rejects.toMatchObject({
      code: 'MEMORY_SHORT',
      entry,
      what: '50 MiB of memory are free, 100 are needed, and the VM that runs gave none back in 0.001 s',
    })
  }
  expect(admission.isShort).toBe(false)
})

test('looks once more when its time is up: memory may have come from elsewhere', async () => {
  const { admission, memory } = await full()
  const log = createLogger({
    write: () => {
      memory.availableMib = 500
    },
  })
  using turn = await admission.turn({ ...waiting, log, memoryWaitMs: 1 })
  await expect(turn.memory(100)).resolves.toBeUndefined()
})

test('a start that is called off while it waits for memory fails with that reason', async () => {
  const { admission } = await full()
  const cancel = new AbortController()
  const log = createLogger({ write: () => cancel.abort(new Error('enough')) })
  using turn = await admission.turn({ ...waiting, log, signal: cancel.signal, memoryWaitMs: 1 })
  await expect(turn.memory(100)).rejects.toThrow('enough')
})

test('what boots is waited for, however long: it gives memory back that it does not need once it runs', async () => {
  const { admission, memory } = await full()
  memory.availableMib = 500
  const booting = await admission.turn(waiting)
  await booting.memory(100)
  memory.availableMib = 50
  using turn = await admission.turn({ ...waiting, memoryWaitMs: 1 })
  vi.useFakeTimers()
  const refused = vi.fn()
  const admitted = turn.memory(100).catch(refused)
  await vi.advanceTimersByTimeAsync(3_600_000)
  expect(refused).not.toHaveBeenCalled()
  memory.availableMib = 500
  booting[Symbol.dispose]()
  await admitted
  expect(refused).not.toHaveBeenCalled()
})

test('a start that waits for more than it has is not waited for by others', async () => {
  const { admission, memory } = await full()
  memory.availableMib = 500
  using one = await admission.turn({ ...waiting, memoryWaitMs: 1 })
  using other = await admission.turn({ ...waiting, memoryWaitMs: 1 })
  await Promise.all([one.memory(100), other.memory(100)])
  await expect(Promise.all([one.memory(1000), other.memory(1000)])).rejects.toMatchObject({ code: 'MEMORY_SHORT' })
})

test('nor is one that waits for the work of the one that waits for memory', async () => {
  const { admission, memory } = await full()
  memory.availableMib = 500
  using making = await admission.turn({ ...waiting, memoryWaitMs: 1 })
  using needing = await admission.turn(waiting)
  await Promise.all([making.memory(100), needing.memory(100)])
  const made = making.memory(1000)
  const code = { code: 'MEMORY_SHORT' }
  await Promise.all([
    expect(needing.waitFor(made)).rejects.toMatchObject(code),
    expect(made).rejects.toMatchObject(code),
  ])
})

test('where there is memory for none, one goes on at a time', async () => {
  const admission = new Admission({ starts: 2, availableMib: async () => 50 })
  const turns = [await admission.turn(waiting), await admission.turn(waiting)]
  const admitted: number[] = []
  const all = turns.map((turn, at) => turn.memory(100).then(() => admitted.push(at)))
  await Promise.race(all)
  await settled()
  expect(admitted).toHaveLength(1)
  turns[admitted[0] ?? 0]?.[Symbol.dispose]()
  await Promise.all(all)
})
