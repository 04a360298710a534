import { afterEach, beforeEach, expect, test } from 'vitest'
import { neverAborted } from '../../lifetime/index.ts'
import { createLogger } from '../../log/index.ts'
import type { QmpEvent } from '../../qemu/index.ts'
import { FakeSession } from '../testing/fake-session.ts'
import { type Diagnosis, watchQemu } from './diagnosis.ts'

const full = { device: 'scratch', operation: 'write', action: 'stop', nospace: true, reason: 'No space left on device' }
const broken = { device: 'scratch', operation: 'read', action: 'report', reason: 'Input/output \x1b[2J error' }

let fake: FakeSession
let lines: string[]
const log = createLogger({ write: (line) => lines.push(line) })

beforeEach(async () => {
  lines = []
  fake = await FakeSession.open()
})

afterEach(async () => {
  expect(await fake.leftovers()).toEqual({ boxes: 0, directories: [] })
  await fake[Symbol.asyncDispose]()
})

/** A monitor that says what it is told to. @param status of its guest when it is first asked */
function watched(status = 'running') {
  let say: (event: QmpEvent) => void = () => {}
  const lost: Diagnosis[] = []
  const watch = watchQemu(
    {
      gone: neverAborted(),
      onEvent(listener) {
        say = listener
      },
      execute: async () => ({ status }),
    },
    { onLost: (diagnosis) => lost.push(diagnosis), log },
  )
  return { watch, lost, say: (event: string, data?: object) => say({ event, data: data as Record<string, unknown> }) }
}

const ofDisk = {
  code: 'VM_DIED',
  message: expect.stringContaining(
    "the VM was lost on debian:trixie, cgroup v2: the disk that holds the VM's data is full",
  ),
  remedy: expect.stringContaining('docker system df'),
}

test('a VM whose disk is full is gone at once, with the reason and what to do', async () => {
  await using vm = await fake.launch()
  fake.image.qemus.at(-1)?.tell({ event: 'BLOCK_IO_ERROR', data: full })
  await expect.poll(() => vm.gone.aborted).toBe(true)
  expect(vm.gone.reason).toMatchObject(ofDisk)
  await expect.poll(() => fake.host.boxes.size).toBe(0)
})

test('a start that runs out of disk fails with that, and does not wait for its deadline', async () => {
  // Its phases, and that its monitor is there: no more.
  fake.image.fates.push({ kind: 'hangs', answers: 5 })
  const starting = fake.launch({ template: false })
  await expect.poll(() => fake.image.qemus).toHaveLength(1)
  const failed = expect(starting).rejects.toMatchObject(ofDisk)
  await expect
    .poll(() => {
      fake.image.qemus[0]?.tell({ event: 'BLOCK_IO_ERROR', data: full })
      return fake.host.boxes.size
    })
    .toBe(0)
  await failed
})

test('a disk that was full before anybody listened is told as well', async () => {
  const { lost } = watched('io-error')
  await expect.poll(() => lost).toMatchObject([{ verdict: 'lost', why: expect.stringContaining('is full') }])
})

test('a QEMU that shuts down says why its VM died', async () => {
  await using vm = await fake.launch()
  const [box] = fake.host.boxes
  fake.image.qemus.at(-1)?.tell({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-reset' } })
  box?.exit(0)
  await expect.poll(() => vm.gone.aborted).toBe(true)
  expect(vm.gone.reason).toMatchObject({
    code: 'VM_DIED',
    message: expect.stringContaining('the guest reset itself, and its console has no reason'),
  })
})

test('of a disk that fails, which the guest hears of itself, one error is told', () => {
  const { lost, say } = watched()
  for (let count = 0; count < 3; count++) say('BLOCK_IO_ERROR', broken)
  expect(lost).toEqual([])
  expect(lines).toEqual([
    "warning: the disk that holds the VM's data, which is the Docker engine's, fails: Input/output \\x1b[2J error",
  ])
})

test('what QEMU says in another form than its protocol has is passed over', () => {
  const { watch, lost, say } = watched()
  say('BLOCK_IO_ERROR')
  say('BLOCK_IO_ERROR', { action: 'stop', nospace: 'yes', reason: 1 })
  say('SHUTDOWN', { reason: { toString: 'no' } })
  expect({ lost, lines, shutdownReason: watch.shutdownReason }).toEqual({
    lost: [],
    lines: [],
    shutdownReason: undefined,
  })
})
