// Directories of this machine as a step of a start.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import { type FakeSession, openForEachTest } from './testing/fake-session.ts'

/** The VM may be at its end, of which it is heard a moment later: two seconds are waited for that. */
const TOLD_DEADLINE_MS = 30_000

let fake: FakeSession
openForEachTest((opened) => {
  fake = opened
})

const nested = [
  { host: import.meta.dirname, guest: '/src/vm', access: 'read-write' },
  { host: join(import.meta.dirname, '..'), guest: '/src' },
] as const
const mounted = () => fake.image.mounts.map(({ request }) => request)

test('directories of this machine are in a guest as soon as somebody has it, outer ones first, and in its forks', async () => {
  await using vm = await fake.launch({ mounts: nested, spares: 1 })
  expect(mounted()).toEqual(['ro /src', 'rw /src/vm'])
  expect(vm.steps.map(({ name }) => name)).toContain('mounts')
  await using _fork = await vm.fork()
  expect(mounted().slice(2)).toEqual(['ro /src', 'rw /src/vm'])
  // They are not in what is saved: the template of an entry without them is the same.
  await using without = await fake.launch()
  expect(without.steps.map(({ name }) => name)).not.toContain('mounts')
  expect(fake.image.made).toBe(1)
  expect(mounted()).toHaveLength(4)
})

test.each([
  ['/dev/fuse: No such file or directory', 'CONFIG_FUSE_FS'],
  ['mkdir: Not a directory', 'name another path than /src'],
])('a guest that cannot mount a directory, because of %s, is the end of the start', async (reason, remedy) => {
  fake.image.mountAnswer = `error ${reason}`
  await expect(fake.launch({ mounts: nested })).rejects.toMatchObject({
    code: 'MOUNT_FAILED',
    entry: 'fake',
    cause: reason,
    remedy: expect.stringContaining(remedy),
  })
  expect(mounted()).toEqual(['ro /src'])
})

test('a directory that a guest unmounts is told of, and not one that ends with its VM', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const told = () => lines.filter((line) => line.includes('no longer at'))
  await using vm = await fake.launch({ mounts: nested, log })
  fake.image.mounts[1]?.socket.end()
  await expect.poll(told, { timeout: TOLD_DEADLINE_MS }).toHaveLength(1)
  expect(told()[0]).toContain(`${import.meta.dirname} is no longer at /src/vm of the guest: it was unmounted`)
  await vm.stop()
  expect(told()).toHaveLength(1)
})

test('a VM that has a directory of this machine makes no checkpoint', async () => {
  await using vm = await fake.launch({ mounts: nested })
  await expect(vm.checkpoint()).rejects.toMatchObject({
    code: 'CHECKPOINT_REFUSED',
    what: expect.stringContaining(`${import.meta.dirname} mounted at /src/vm`),
  })
})
