import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { KernelReportsOption } from '../options/index.ts'
import { type Failure, type Heard, KernelWatch } from '../worker/index.ts'
import { ReportServers } from './report-server.ts'
import { WatchedVm } from './testing/watched-vm.ts'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function watched(kernelReports: KernelReportsOption = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'tk-reports-'))
  cleanUps.push(() => rm(directory, { recursive: true }))
  const vm = new WatchedVm(kernelReports)
  const servers = new ReportServers(async () => directory)
  const socket = (await servers.socketFor(vm)) ?? ''
  cleanUps.push(() => servers.end(vm))
  const file = () => {
    const toError = ({ title, message }: Failure) => new Error(`${title}: ${message}`)
    const watch = new KernelWatch(socket, toError, { nowMs: () => clockMs })
    cleanUps.push(() => watch.close())
    return watch
  }
  return { vm, servers, file }
}

/** Of the workers. */
let clockMs = 0
/** Long enough for a test to have had its kernel do something. */
const work = () => {
  clockMs += 5
}
const messages = ({ errors }: Heard) => errors.map(({ message }) => message.split('\n')[0])
const says = (title: string, when: string) =>
  `KernelReportedError [KERNEL_REPORTED]: v1: the kernel reported ${title} on debian:bookworm, cgroup v2, ${when}`

test('what a kernel has lost fails the files that are under way, and no test that runs in another', async () => {
  const { vm, file } = await watched({ kmemleak: true })
  const [one, other] = [file(), file()]
  await (await one.begin('first')).end()
  const running = await other.begin('in another file')
  work()
  vm.lost = 'memory leak in f'
  const says =
    'KernelReportedError [KERNEL_REPORTED]: v1: the kernel reported memory leak in f on debian:bookworm, cgroup v2'
  expect(messages(await one.finish())).toEqual([says])
  vm.lost = undefined
  expect(messages(await running.end())).toEqual([])
  expect(messages(await other.finish())).toEqual([says])
})

test('a kernel that cannot look for what it has lost fails the file; one that was not asked does not look', async () => {
  const { vm, file } = await watched({ kmemleak: true })
  vm.lost = new Error('kmemleak is off')
  expect(messages(await file().finish())).toEqual(['Error: kmemleak is off'])
  const unasked = await watched()
  unasked.vm.lost = 'memory leak in f'
  expect(messages(await unasked.file().finish())).toEqual([])
})

test('who calls a run off waits for no look at what a kernel has lost, and begins none', async () => {
  const { vm, file } = await watched({ kmemleak: true })
  const watch = file()
  let looks = 0
  const asked = new Promise<void>((resolve) => {
    vm.findMemoryLeaks = () => {
      looks++
      resolve()
      return new Promise(() => {})
    }
  })
  const finished = watch.finish()
  await asked
  watch.callOff()
  expect(await finished).toEqual({ errors: [], reports: [] })
  vm.report('WARNING in f')
  expect(messages(await watch.finish())).toEqual([says('WARNING in f', 'while no test ran')])
  expect(vm.kernelReports).toHaveLength(1)
  expect(looks).toBe(1)
})

test('a report fails the test during which it came, and no other', async () => {
  const { vm, file } = await watched()
  const watch = file()
  const ends: unknown[] = []
  for (const name of ['first', 'second', 'third']) {
    const running = await watch.begin(name)
    if (name === 'second') vm.report('WARNING in f')
    work()
    ends.push(messages(await running.end()))
  }
  expect(ends).toEqual([[], [says('WARNING in f', "while 'second' ran")], []])
  expect((await watch.finish()).errors).toEqual([])
})

test('tests that run at the same time are all named, in whatever worker', async () => {
  const { vm, file } = await watched()
  const [one, two] = [file(), file()]
  const running = [await one.begin('a'), await one.begin('b'), await two.begin('c')]
  vm.report('kernel BUG at x.c')
  work()
  const failures = await Promise.all(running.map((each) => each.end()))
  const expected = says('kernel BUG at x.c', "while 3 tests ran: 'a', 'b', 'c'")
  expect(failures.map(messages)).toEqual([[expected], [expected], [expected]])
})

test('a test that is over, and waits for what its kernel said, is not named for what another provokes', async () => {
  const { vm, file } = await watched()
  const over = await file().begin('over')
  work()
  const heard = once(vm.events, 'settle')
  vm.waited = heard.then(() => once(vm.events, 'settle'))
  const end = over.end()
  await heard
  vm.waited = undefined
  const next = await file().begin('next')
  vm.report('WARNING in f')
  work()
  expect(messages(await next.end())).toEqual([says('WARNING in f', "while 'next' ran")])
  expect(messages(await end)).toEqual([])
})

test('a test whose name is longer than a line may be is watched as any other', async () => {
  const { vm, file } = await watched()
  const running = await file().begin('x'.repeat(70_000))
  vm.report('WARNING in f')
  work()
  expect(messages(await running.end())).toEqual([says('WARNING in f', `while '${'x'.repeat(1_000)}' ran`)])
})

test('what comes between tests fails the file, and is not the next test', async () => {
  const { vm, file } = await watched()
  const watch = file()
  const first = await watch.begin('first')
  work()
  await first.end()
  vm.report('WARNING in late')
  work()
  const second = await watch.begin('second')
  work()
  expect((await second.end()).errors).toEqual([])
  expect(messages(await watch.finish())).toEqual([says('WARNING in late', 'while no test ran')])
})

test('what comes when no file is under way fails the run, once', async () => {
  const { vm, servers } = await watched()
  vm.report('WARNING in f')
  await servers.end(vm)
  expect(servers.takeUnclaimed().map(({ message }) => message.split('\n')[0])).toEqual([
    'v1: the kernel reported WARNING in f on debian:bookworm, cgroup v2, while no test file was under way',
  ])
  expect(servers.takeUnclaimed()).toEqual([])
})

test('a test that is over at once asks nobody, and what it set off is the file', async () => {
  const { vm, file } = await watched()
  const watch = file()
  const first = await watch.begin('first')
  const before = vm.settles
  vm.report('WARNING in late')
  for (let count = 0; count < 100; count++) await (await watch.begin('nothing')).end()
  await first.end()
  expect(vm.settles).toBe(before)
  expect(messages(await watch.finish())).toEqual([says('WARNING in late', 'while no test ran')])
})

test('in a long row of tests that are over at once the kernel is asked now and then, and what one set off is no later one', async () => {
  const { vm, file } = await watched()
  const watch = file()
  const first = await watch.begin('first')
  const before = vm.settles
  vm.report('WARNING in late')
  await first.end()
  for (let count = 0; count < 50; count++) {
    const nothing = await watch.begin('nothing')
    clockMs += 0.5
    await nothing.end()
  }
  expect(vm.settles).toBe(before + 1)
  // A guest that takes 5 ms to answer is asked again when 100 have passed.
  vm.events.on('settle', work)
  clockMs += 25
  for (let count = 0; count < 180; count++) {
    const nothing = await watch.begin('nothing')
    clockMs += 0.5
    await nothing.end()
  }
  vm.events.off('settle', work)
  expect(vm.settles).toBe(before + 2)
  const later = await watch.begin('later')
  work()
  expect((await later.end()).errors).toEqual([])
  expect(messages(await watch.finish())).toEqual([says('WARNING in late', 'while no test ran')])
})

test('what is only warned of fails nothing', async () => {
  const { vm, file } = await watched()
  const watch = file()
  const running = await watch.begin('first')
  vm.report('RCU stall', 'warn')
  work()
  expect((await running.end()).errors).toEqual([])
  expect((await watch.finish()).errors).toEqual([])
})

test('a test that left is not named', async () => {
  const { vm, file } = await watched()
  const watch = file()
  ;(await watch.begin('skips itself')).leave()
  const running = await watch.begin('other')
  vm.report('WARNING in f')
  work()
  expect(messages(await running.end())).toEqual([says('WARNING in f', "while 'other' ran")])
})

test('nobody waits for a process that is gone', async () => {
  const { vm, servers, file } = await watched()
  const watch = file()
  const running = await watch.begin('first')
  work()
  const settled = once(vm.events, 'settle')
  await Promise.all([servers.end(vm), settled])
  expect((await running.end()).errors).toEqual([])
  expect((await watch.finish()).errors).toEqual([])
})

test('who does not answer is not waited for for ever', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-reports-'))
  cleanUps.push(() => rm(directory, { recursive: true }))
  const silent = createServer((socket) => socket.resume()).listen(join(directory, 'silent.sock'))
  cleanUps.push(() => silent.close())
  const watch = new KernelWatch(join(directory, 'silent.sock'), ({ message }) => new Error(message), {
    deadlineMs: 50,
  })
  cleanUps.push(() => watch.close())
  expect((await (await watch.begin('first')).end()).errors).toEqual([])
})

test('where reports are ignored there is nothing to tell', async () => {
  const { servers } = await watched()
  expect(await servers.socketFor(new WatchedVm('ignore'))).toBeUndefined()
})
