import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { Remains } from '../support/remains.ts'

test.each([{ spares: 0 }, { spares: 1 }])(
  '50 forks in a row leave nothing, with $spares spares',
  async ({ spares }) => {
    const remains = await Remains.before()
    const vm = await new KernelVm({ name: 'soaked', kernel: 'debian:bookworm', spares }).start()
    for (let number = 0; number < 50; number++) {
      await using fork = await vm.fork()
      expect((await fork.exec(['true'])).exitCode).toBe(0)
    }
    await vm.stop()
    expect(await remains.added()).toEqual([])
  },
)

test('ten clones of a 2 GiB VM live together', async () => {
  const remains = await Remains.before()
  const vm = await new KernelVm({ name: 'many', kernel: 'debian:bookworm', memoryMib: 2048 }).start()
  const forks = await Promise.all(Array.from({ length: 10 }, () => vm.fork()))
  expect(new Set(forks.map(({ hostname }) => hostname)).size).toBe(10)
  for (const fork of forks) expect((await fork.exec(['true'])).exitCode).toBe(0)
  await Promise.all([vm, ...forks].map((each) => each.stop()))
  expect(await remains.added()).toEqual([])
})
