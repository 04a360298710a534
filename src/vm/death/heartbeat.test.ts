import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createLogger } from '../../log/index.ts'
import { FakeSession } from '../testing/fake-session.ts'
import { type Diagnosis, explainStatus } from './diagnosis.ts'
import { Heartbeat } from './heartbeat.ts'

let lines: string[]
let ended: AbortController
const log = createLogger({ write: (line) => lines.push(line) })

beforeEach(() => {
  lines = []
  ended = new AbortController()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  ended.abort(new Error('over'))
  vi.useRealTimers()
})

const seconds = (count: number) => vi.advanceTimersByTimeAsync(count * 1000)
const stopped: Diagnosis = { why: 'its QEMU was stopped', verdict: 'stalled', remedy: 'let it go on' }

/** A VM that answers while it is told to. */
function beat(diagnosis = stopped) {
  let answers: (() => void)[] = []
  const vm = { isWell: true, lost: undefined as Diagnosis | undefined, asked: 0 }
  const heartbeat = new Heartbeat({
    ask: () => {
      vm.asked++
      return vm.isWell ? Promise.resolve() : new Promise<void>((resolve) => answers.push(resolve))
    },
    diagnose: async () => diagnosis,
    onLost: (why) => {
      vm.lost = why
    },
    log,
    signal: ended.signal,
  })
  const comeBack = () => {
    vm.isWell = true
    for (const answer of answers) answer()
    answers = []
  }
  return { vm, heartbeat, comeBack }
}

test('nothing is said of a VM that answers', async () => {
  const { vm } = beat()
  await seconds(60)
  expect(vm.asked).toBeGreaterThan(10)
  expect(lines).toEqual([])
})

test('a VM that stops is told of within 10 s, and when it is back', async () => {
  const { vm, comeBack } = beat()
  await seconds(5)
  vm.isWell = false
  await seconds(10)
  expect(lines.join()).toContain('the VM does not answer: its QEMU was stopped')
  comeBack()
  await seconds(1)
  expect(lines.join()).toContain('the VM answers again')
  await seconds(200)
  expect(vm.lost).toBeUndefined()
})

test('one that does not come back is lost', async () => {
  const { vm } = beat()
  vm.isWell = false
  await seconds(70)
  expect(vm.lost).toEqual(stopped)
})

test('one that cannot come back is lost at once', async () => {
  const { vm } = beat(explainStatus({ status: 'io-error' }, true))
  vm.isWell = false
  await seconds(10)
  expect(vm.lost?.why).toContain("the disk that holds the VM's data is full")
})

test('one that we stopped need not answer', async () => {
  const { vm, heartbeat, comeBack } = beat()
  const pause = heartbeat.pause()
  vm.isWell = false
  await seconds(100)
  comeBack()
  pause[Symbol.dispose]()
  await seconds(10)
  expect(lines).toEqual([])
  expect(vm.lost).toBeUndefined()
})

test('one that is said to have been stopped is told of as soon as it does not answer', async () => {
  const { vm, heartbeat } = beat()
  await seconds(5)
  vm.isWell = false
  heartbeat.suspect()
  await seconds(4)
  expect(lines.join()).toContain('the VM does not answer: its QEMU was stopped')
})

test('one that answers all the same is well, also when it is slow later', async () => {
  const { vm, heartbeat, comeBack } = beat()
  heartbeat.suspect()
  await seconds(5)
  vm.isWell = false
  await seconds(4)
  comeBack()
  await seconds(10)
  expect(lines).toEqual([])
})

test('nobody is suspected while we stop it', async () => {
  const { vm, heartbeat } = beat()
  const pause = heartbeat.pause()
  heartbeat.suspect()
  vm.isWell = false
  pause[Symbol.dispose]()
  await seconds(4)
  expect(lines).toEqual([])
})

test("QEMU's word tells a guest that hangs from a link that is down", () => {
  expect(explainStatus({ status: 'running' }, true).why).toContain('its guest hangs')
  expect(explainStatus({ status: 'running' }, false).why).toContain('its network is down')
  expect(explainStatus({ status: 'guest-panicked' }, true)).toMatchObject({
    verdict: 'lost',
    why: "its guest's kernel panicked",
  })
  expect(explainStatus({ status: 'internal-error' }, true)).toMatchObject({ verdict: 'lost' })
  for (const answer of [undefined, {}, { status: { toString: 'x' } }, { status: 'x'.repeat(1000) }])
    expect(() => explainStatus(answer, true)).toThrow()
})

test('a VM that falls silent is gone in the end, with its box and the reason', async () => {
  vi.useRealTimers()
  await using fake = await FakeSession.open()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const launching = fake.launch({ log })
  await using vm = await throughTime(launching, 1)
  for (const box of fake.host.boxes) box.fallSilent()
  const gone = new Promise((resolve) => vm.gone.addEventListener('abort', () => resolve(vm.gone.reason)))
  expect(await throughTime(gone, 1000)).toMatchObject({
    code: 'VM_DIED',
    message: expect.stringContaining('the VM was lost on debian:trixie, cgroup v2: its QEMU does not answer'),
  })
  expect(fake.host.boxes.size).toBe(0)
})

test('a guest that somebody else stops is told of, by the reason that QEMU has', async () => {
  vi.useRealTimers()
  await using fake = await FakeSession.open()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await using _vm = await throughTime(fake.launch({ log }), 1)
  fake.image.qemus.at(-1)?.stopGuest('paused')
  const told = throughTime(
    vi.waitUntil(() => lines.some((line) => line.includes('the VM does not answer: QEMU was told to stop it'))),
    1000,
  )
  await told
})

/** Lets time pass until it has happened, in steps that leave the sockets time to carry what was said. */
async function throughTime<T>(happening: Promise<T>, stepMs: number): Promise<T> {
  let happened = false
  const noted = happening.finally(() => {
    happened = true
  })
  while (!happened) {
    await vi.advanceTimersByTimeAsync(stepMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return await noted
}
