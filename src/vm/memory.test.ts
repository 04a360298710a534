import { expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import { FakeSession, openForEachTest } from './testing/fake-session.ts'

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

test('a clone waits for little memory, and the making of its template for that of a boot', async () => {
  await using vm = await fake.launch()
  let availableMib = 200
  const small = await FakeSession.open({ availableMib: () => availableMib, program: fake.image.play })
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const clone = await small.launch({ log })
  const starting = small.launch({ log, cgroup: 1 })
  await expect.poll(() => lines).toContain('waiting for a VM to end: 200 MiB of memory are free, 256 are needed')
  availableMib = 1000
  await clone.stop()
  await (await starting).stop()
  expect(fake.image.made).toBe(2)
  await small[Symbol.asyncDispose]()
  expect(vm.gone.aborted).toBe(false)
})

test('what starts beside VMs that end after it, or forks the only one, is told that memory is short', async () => {
  let availableMib = 1000
  const small = await FakeSession.open({ availableMib: () => availableMib, program: fake.image.play })
  const vms = [await small.launch(), await small.launch()]
  availableMib = 97
  const short = { code: 'MEMORY_SHORT', what: expect.stringMatching(/^97 MiB .* 128 .* the 2 VMs that run gave none/) }
  await expect(small.launch({ memoryWaitMs: 1 })).rejects.toMatchObject(short)
  await expect(vms[0]?.fork({ memoryWaitMs: 1 })).rejects.toMatchObject(short)
  // As long as a boot may take, where nobody says how long.
  await vms[1]?.stop()
  await expect(small.launch({ bootTimeoutMs: 1 })).rejects.toMatchObject({ code: 'MEMORY_SHORT' })
  for (const vm of vms) await vm.stop()
  expect(await small.leftovers()).toEqual({ boxes: 0, directories: [] })
  await small[Symbol.asyncDispose]()
})
