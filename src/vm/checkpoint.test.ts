import { expect, test } from 'vitest'
import type { BoxSpec } from '../host/index.ts'
import { type FakeSession, openForEachTest } from './testing/fake-session.ts'

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

const volumesOf = (spec: BoxSpec | undefined) => (spec?.mounts ?? []).filter((mount) => mount.kind === 'volume')
const checkpointsRemoved = () => fake.host.removed.filter((name) => name.startsWith('testkernels-checkpoint-'))

test('a checkpoint whose copy never answers is none, when the time of a boot is up', async () => {
  // Enough for the VM itself on a machine that has much else to do.
  const vm = await fake.launch({ bootTimeoutMs: 5_000 })
  fake.image.fates.push({ kind: 'hangs', answers: 0 })
  await expect(vm.checkpoint()).rejects.toMatchObject({ code: 'TEMPLATE_NOT_MADE' })
  expect(checkpointsRemoved()).toHaveLength(1)
  await vm.stop()
})

test('forks of a checkpoint go on from it, and go with it and its volume', async () => {
  await using vm = await fake.launch()
  const checkpoint = await vm.checkpoint()
  await checkpoint.fork()
  expect(fake.host.boxes.size).toBe(3)
  await checkpoint.remove()
  expect(fake.host.boxes.size).toBe(1)
  expect(checkpointsRemoved()).toHaveLength(1)
  await expect(checkpoint.fork()).rejects.toMatchObject({ code: 'CHECKPOINT_REMOVED' })
})

test('a checkpoint has its volume from first to last, whatever VMs there are: what no box has is a leftover', async () => {
  const vm = await fake.launch()
  const checkpoint = await vm.checkpoint()
  const { volume, keptFor } = volumesOf(fake.host.specs.at(-1))[0] ?? {}
  expect(keptFor).toBe('run')
  const having = () => [...fake.host.boxes].filter(({ spec }) => volumesOf(spec).some((had) => had.volume === volume))
  await vm.stop()
  expect(having()).toHaveLength(1)
  const fork = await checkpoint.fork()
  expect(having()).toHaveLength(2)
  await fork.stop()
  expect(having()).toHaveLength(1)
  await checkpoint.remove()
  expect(having()).toEqual([])
  // From before the box that saved into it.
  const users = fake.host.specs.filter((spec) => volumesOf(spec).some((had) => had.volume === volume))
  expect(users.map(({ entrypoint }) => entrypoint)).toEqual([['cat'], undefined, undefined])
})

test('a checkpoint of a VM that dies meanwhile is none, and its volume goes', async () => {
  const vm = await fake.launch()
  fake.image.fates.push({ kind: 'dies', ms: 0 })
  await expect(vm.checkpoint()).rejects.toMatchObject({ code: 'TEMPLATE_NOT_MADE' })
  expect(checkpointsRemoved()).toHaveLength(1)
  await vm.stop()
})
