import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { neverAborted } from '../lifetime/index.ts'
import { silentLogger } from '../log/index.ts'
import { findVms } from './attach.ts'
import { FakeSession } from './testing/fake-session.ts'

const EVENT_DEADLINE_MS = 30_000
let fake: FakeSession

beforeEach(async () => {
  fake = await FakeSession.open()
})
afterEach(() => fake[Symbol.asyncDispose]())

const find = () => findVms(fake.session.settings.runtimeDirectory, neverAborted())

test('a VM is found by others as long as it runs, and its fork beside it', async () => {
  const vm = await fake.launch()
  await using fork = await vm.fork()
  const { running } = await find()
  expect(running.map(({ name, hostname, kernel }) => ({ name, hostname, kernel }))).toEqual([
    { name: 'fake', hostname: 'fake', kernel: 'debian:trixie' },
    { name: 'fake', hostname: fork.hostname, kernel: 'debian:trixie' },
  ])
  const directories = await readdir(fake.session.settings.runtimeDirectory)
  expect(running.map(({ id }) => `testkernels-${id}`).sort()).toEqual(directories.sort())
  await vm.stop()
  expect((await find()).running.map(({ hostname }) => hostname)).toEqual([fork.hostname])
})

test('a spare that nobody has is none', async () => {
  await using vm = await fake.launch({ spares: 1 })
  await expect.poll(() => fake.host.boxes.size, { timeout: EVENT_DEADLINE_MS }).toBe(2)
  expect((await find()).running.map(({ hostname }) => hostname)).toEqual([vm.hostname])
})

test('others run programs in it, over a connection of their own, until it ends', async () => {
  await using vm = await fake.launch()
  const [found] = (await find()).running
  const signal = AbortSignal.timeout(EVENT_DEADLINE_MS)
  const connection = await found?.connect({ signal, log: silentLogger })
  expect(await connection?.exec(['true'])).toMatchObject({ exitCode: 0 })
  await vm.stop()
  expect(connection?.ended.aborted).toBe(true)
  await connection?.close()
})

test('a process that does not answer is told by the id of its VM', async () => {
  const runtimeDirectory = await mkdtemp(join(tmpdir(), 'tk-attach-'))
  const directory = join(runtimeDirectory, 'testkernels-10-aaaaaa')
  await mkdir(directory, { mode: 0o700 })
  const server = createServer((socket) => socket.destroy()).listen(join(directory, 'ssh.sock'))
  await once(server, 'listening')
  expect(await findVms(runtimeDirectory, neverAborted())).toEqual({ running: [], silent: ['10-aaaaaa'] })
  server.close()
  await rm(runtimeDirectory, { recursive: true })
})

test.each([
  ['not a string', { hostname: 1 }],
  ["a terminal's orders", { hostname: '\x1b[2J' }],
  ['no key', { clientKey: {} }],
])('who says of a VM what is %s is silent', async (_, said) => {
  const runtimeDirectory = await mkdtemp(join(tmpdir(), 'tk-attach-'))
  const directory = join(runtimeDirectory, 'testkernels-10-aaaaaa')
  await mkdir(directory, { mode: 0o700 })
  const clientKey = { seed: 'AAAA', publicKey: 'AAAA' }
  const greeting = { name: 'a', hostname: 'a', kernel: 'debian:trixie', hostPublicKey: 'AAAA', clientKey, ...said }
  const server = createServer((socket) => socket.end(`${JSON.stringify(greeting)}\n`)).listen(
    join(directory, 'ssh.sock'),
  )
  await once(server, 'listening')
  expect(await findVms(runtimeDirectory, neverAborted())).toEqual({ running: [], silent: ['10-aaaaaa'] })
  server.close()
  await rm(runtimeDirectory, { recursive: true })
})
