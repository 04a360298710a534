import { afterEach, beforeEach, expect, test } from 'vitest'
import { ContainerNotStartedError } from '../../host/index.ts'
import { createLogger } from '../../log/index.ts'
import { FakeSession, type LaunchOptions } from '../testing/fake-session.ts'

let availableMib: () => number
let fake: FakeSession

beforeEach(async () => {
  availableMib = () => 10_000
  fake = await FakeSession.open({ availableMib: () => availableMib() })
})

afterEach(async () => {
  expect(await fake.leftovers()).toEqual({ boxes: 0, directories: [] })
  await fake[Symbol.asyncDispose]()
})

/** What is said, and how many spares became ready so far. */
function listen() {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line), level: 'debug' })
  const ready = () => lines.filter((line) => line.includes(' is a spare after ')).length
  return { lines, log, ready }
}

/** Launches a VM, and waits until so many spares of it are ready. */
async function launchWithSpares(spares: number, options: LaunchOptions = {}) {
  const { log, ready } = listen()
  const vm = await fake.launch({ ...options, spares, log })
  await expect.poll(ready).toBe(spares)
  return { vm, ready }
}

const stepsOf = ({ steps }: { steps: readonly { name: string }[] }) => steps.map(({ name }) => name)

test('spares are made beside the VM, handed out, made up for, and end with the last of the family', async () => {
  const { vm, ready } = await launchWithSpares(2)
  const fork = await vm.fork()
  expect(fork.steps.map(({ name }) => name)).toEqual(['spare'])
  await expect.poll(ready).toBe(3)
  expect(fake.host.boxes.size).toBe(4)
  await vm.stop()
  expect(fake.host.boxes.size).toBe(3)
  await fork.stop()
})

test('a spare that dies is made up for when one is asked for', async () => {
  const { vm, ready } = await launchWithSpares(1)
  const [, spare] = fake.host.boxes
  spare?.exit(1)
  await expect.poll(() => fake.host.boxes.size).toBe(1)
  await using _fork = await vm.fork()
  await expect.poll(ready).toBe(2)
  await vm.stop()
})

test('a spare that does not wake up is no failure of the fork: another is started', async () => {
  const { vm } = await launchWithSpares(1, { bootTimeoutMs: 1_000 })
  const [, spare] = fake.host.boxes
  spare?.fallSilent()
  const fork = await vm.fork()
  expect(fork.steps.map(({ name }) => name)).toEqual(expect.arrayContaining(['spare', 'restore']))
  await Promise.all([vm.stop(), fork.stop()])
})

test('without anybody who wants some there are none', async () => {
  await using vm = await fake.launch()
  await using fork = await vm.fork()
  expect(stepsOf(fork)).toContain('restore')
  expect(fake.host.boxes.size).toBe(2)
})

test('spares that are reserved outlive all VMs, and end with the reservation', async () => {
  const { log, ready } = listen()
  const first = await fake.launch({ log })
  const spares = first.reserveSpares(1)
  await expect.poll(ready).toBe(1)
  await first.stop()
  expect(fake.host.boxes.size).toBe(1)
  const second = await first.fork()
  expect(stepsOf(second)).toEqual(['spare'])
  await expect.poll(ready).toBe(2)
  await second.stop()
  await spares[Symbol.asyncDispose]()
  expect(fake.host.boxes.size).toBe(0)
  // Over and done with: nothing is kept for it any more.
  spares.resize(3)
  await using _third = await first.fork()
  expect(fake.host.boxes.size).toBe(1)
})

test('spares that were reserved do not outlive the reservation beside a VM that lives on', async () => {
  const { log, ready } = listen()
  await using vm = await fake.launch({ log })
  const spares = vm.reserveSpares(1)
  await expect.poll(ready).toBe(1)
  expect(fake.host.boxes.size).toBe(2)
  await spares[Symbol.asyncDispose]()
  expect(fake.host.boxes.size).toBe(1)
})

test('an entry whose VMs boot cold has none', async () => {
  await using vm = await fake.launch({ template: false })
  await using _spares = vm.reserveSpares(1)
  await using fork = await vm.fork()
  expect(stepsOf(fork)).toContain('kernel')
  expect(fake.host.boxes.size).toBe(2)
})

test('a reservation that grows has more made, and one that shrinks takes away none', async () => {
  const { log, ready } = listen()
  await using vm = await fake.launch({ log })
  await using spares = vm.reserveSpares(0)
  expect(fake.host.boxes.size).toBe(1)
  spares.resize(2)
  await expect.poll(ready).toBe(2)
  spares.resize(1)
  for (const _ of [1, 2]) {
    await using fork = await vm.fork()
    expect(stepsOf(fork)).toEqual(['spare'])
  }
})

test('a fork that comes while a spare is being made gets that one', async () => {
  const vm = await fake.launch()
  fake.image.fates.push({ kind: 'late', ms: 50 })
  await using _spares = vm.reserveSpares(1)
  const fork = await vm.fork()
  expect(stepsOf(fork)).toEqual(['spare'])
  await Promise.all([vm.stop(), fork.stop()])
})

test('a fork starts one of its own when the spare that it waited for comes to nothing', async () => {
  const vm = await fake.launch()
  const error = new ContainerNotStartedError({ what: 'no', remedy: 'none' })
  fake.image.fates.push({ kind: 'refused', error })
  await using _spares = vm.reserveSpares(1)
  const fork = await vm.fork()
  expect(stepsOf(fork)).toContain('restore')
  await Promise.all([vm.stop(), fork.stop()])
})

test('a fork that is called off while a spare is being made leaves it for the next', async () => {
  const { log, ready } = listen()
  await using vm = await fake.launch({ log })
  fake.image.fates.push({ kind: 'late', ms: 50 })
  await using _spares = vm.reserveSpares(1)
  const calledOff = new AbortController()
  const fork = vm.fork({ signal: calledOff.signal })
  calledOff.abort(new Error('changed my mind'))
  await expect(fork).rejects.toThrow('changed my mind')
  await expect.poll(ready).toBe(1)
  await using next = await vm.fork()
  expect(stepsOf(next)).toEqual(['spare'])
})

test('no spare is made where there is memory for one clone alone, and a fork is started all the same', async () => {
  availableMib = () => 255
  const { lines, log } = listen()
  await using vm = await fake.launch({ log })
  await using _spares = vm.reserveSpares(1)
  await using fork = await vm.fork()
  expect(stepsOf(fork)).toContain('restore')
  expect(fake.host.boxes.size).toBe(2)
  expect(lines.join()).not.toContain('waiting for a VM to end')
})

test('spares give way to a start that needs their memory', async () => {
  const { vm } = await launchWithSpares(2)
  availableMib = () => (fake.host.boxes.size === 1 ? 10_000 : 0)
  const { lines, log } = listen()
  const other = await fake.launch({ log, cgroup: 1 })
  expect(lines.join()).not.toContain('waiting for a VM to end')
  await Promise.all([vm.stop(), other.stop()])
})

test('a spare that becomes ready while a start waits for memory gives it back', async () => {
  const { log, ready } = listen()
  await using vm = await fake.launch({ log })
  fake.image.fates.push({ kind: 'late', ms: 50 })
  await using _spares = vm.reserveSpares(1)
  await expect.poll(() => fake.host.boxes.size).toBe(2)
  availableMib = () => (fake.host.boxes.size === 1 ? 10_000 : 0)
  const starting = fake.launch({ cgroup: 1 })
  await expect.poll(ready).toBe(1)
  await using _other = await starting
})

test('of a checkpoint that was removed no spare is made, whatever is reserved', async () => {
  const { log, ready } = listen()
  await using vm = await fake.launch({ log })
  const checkpoint = await vm.checkpoint()
  const fork = await checkpoint.fork()
  await using spares = fork.reserveSpares(1)
  await expect.poll(ready).toBe(1)
  await checkpoint.remove()
  const { started } = fake.host
  spares.resize(2)
  await using _other = await vm.fork()
  expect(fake.host.started).toBe(started + 1)
  expect(fake.host.boxes.size).toBe(2)
})
