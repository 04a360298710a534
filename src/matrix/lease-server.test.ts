import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { cleanUp, serve } from './testing/lease-service.ts'

afterEach(cleanUp)

test('each worker has a VM, the first of them that which is there, and keeps it until the end', async () => {
  const { server, lease, living, kept } = await serve('worker')
  const one = await lease('1')
  expect(one.hostname).toBe('v2')
  one.release()
  const two = await lease('2')
  expect(two.hostname).toBe('v2-1')
  expect((await lease('1')).hostname).toBe('v2')
  expect([...living]).toEqual(['v2', 'v2-1'])
  await server[Symbol.asyncDispose]()
  expect([...living]).toEqual([])
  expect(kept.sort()).toEqual(['v2', 'v2-1'])
})

test('a worker whose VM died gets another', async () => {
  const { lease, deaths } = await serve('worker')
  const vm = await lease('1')
  deaths.get('v2')?.abort(new Error('panic'))
  await expect.poll(() => vm.gone.aborted).toBe(true)
  expect((await lease('1')).hostname).toBe('v2-1')
})

test('each file has a VM, which ends when its worker releases it', async () => {
  const { lease, living } = await serve('file')
  const one = await lease('1')
  const two = await lease('1')
  expect([one.hostname, two.hostname]).toEqual(['v2', 'v2-1'])
  two.release()
  await expect.poll(() => [...living]).toEqual(['v2'])
})

test('a worker hears why it gets no VM, and may ask again', async () => {
  let failing = true
  const { lease } = await serve('worker', {
    fork: async () => {
      throw new Error(failing ? 'the disk is full' : 'something else')
    },
  })
  await lease('1')
  await expect(lease('2')).rejects.toThrow('the disk is full')
  failing = false
  await expect(lease('2')).rejects.toThrow('something else')
})

test('the end waits for VMs that are ending already', async () => {
  const { server, lease, living, keeping } = await serve('file')
  const vm = await lease('1')
  keeping.hold = new Promise((resolve) => {
    keeping.goOn = resolve
  })
  vm.release()
  await expect.poll(() => keeping.begun).toBe(1)
  const ended = server[Symbol.asyncDispose]().then(() => [...living])
  keeping.goOn()
  expect(await ended).toEqual([])
})

test('at the end, nobody waits for a VM any more', async () => {
  const { server, lease } = await serve('file', { fork: () => new Promise(() => {}) })
  await lease('1')
  const waiting = lease('2')
  await server[Symbol.asyncDispose]()
  await expect(waiting).rejects.toMatchObject({ code: 'VM_NOT_LEASED' })
})

test('for files a spare is wanted from the start, and no more than workers have VMs', async () => {
  const { server, lease, reserved } = await serve('file', { workers: 2, spares: 'auto' })
  await expect.poll(() => reserved).toEqual([1])
  const [one, two] = [await lease('1'), await lease('2')]
  const three = await lease('1')
  expect(reserved).toEqual([1, 1, 2, 2])
  for (const vm of [one, two, three]) vm.release()
  await expect.poll(() => reserved).toEqual([1, 1, 2, 2, 2, 1, 1])
  await server[Symbol.asyncDispose]()
  expect(reserved.at(-1)).toBe(undefined)
})

test('for workers a spare is wanted as long as one of them has no VM', async () => {
  const { lease, reserved } = await serve('worker', { workers: 2, spares: 'auto' })
  await expect.poll(() => reserved).toEqual([1])
  await lease('1')
  await lease('2')
  await lease('1')
  expect(reserved).toEqual([1, 1, 0])
})

test('an entry that says how many spares it has is asked for no others', async () => {
  const { lease, reserved } = await serve('file', { workers: 2, spares: 3 })
  await lease('1')
  await lease('2')
  expect(reserved).toEqual([])
})

test.each(['no JSON\n', 'null\n', '{"index":', `${'x'.repeat(1024 * 1024)}\n`])(
  'who asks for %.10j is not answered',
  async (said) => {
    const { server, lease } = await serve('worker')
    const asking = connect(server.socket)
    asking.on('error', () => {})
    asking.end(said)
    asking.resume()
    await new Promise((resolve) => asking.once('close', resolve))
    expect((await lease('1')).hostname).toBe('v2')
  },
)

test.each([
  { isolation: 'file', entries: 1, waits: Number.POSITIVE_INFINITY },
  // Files that have one VM each and wait for another could wait for each other: as long as a boot may take.
  { isolation: 'file', entries: 2, waits: undefined },
  { isolation: 'worker', entries: 1, waits: 30_000 },
] as const)('a VM waits for the memory of others while these will end: $isolation, $entries', async (one) => {
  const asked: unknown[] = []
  const fork = async ({ memoryWaitMs }: { memoryWaitMs?: number }) => {
    asked.push(memoryWaitMs)
    throw new Error('enough')
  }
  const { lease } = await serve(one.isolation, { fork, entries: one.entries })
  await lease('1')
  await expect(lease('2')).rejects.toThrow('enough')
  expect(asked).toEqual([one.waits])
})

test('the VM of a file in which a test failed is given to who keeps it, and not ended', async () => {
  const taken: string[] = []
  let end = async () => {}
  const { server, lease, living } = await serve('file', {
    keep: (vm, own) => {
      taken.push(vm.hostname)
      end = own
      return true
    },
  })
  const [failing, passing] = [await lease('1'), await lease('2')]
  failing.noteFailure()
  failing.release()
  passing.release()
  await server[Symbol.asyncDispose]()
  expect(taken).toEqual(['v2'])
  expect([...living]).toEqual(['v2'])
  await end()
  expect([...living]).toEqual([])
})

test('one that is not kept all the same ends', async () => {
  const { server, lease, living } = await serve('file', { keep: () => false })
  const vm = await lease('1')
  vm.noteFailure()
  await server[Symbol.asyncDispose]()
  expect([...living]).toEqual([])
})

test('of a VM of all workers, whose tests are tried again on others, it is known whether a test failed', async () => {
  const { server, lease } = await serve('project', { retryOn: 'fresh-vm' })
  const [one, two] = [await lease('1'), await lease('2')]
  one.release()
  expect(await server.hasFailure(0)).toBe(false)
  two.noteFailure()
  two.release()
  expect(await server.hasFailure(0)).toBe(true)
})
