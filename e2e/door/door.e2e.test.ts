// The two programs of the door (images/door) as they are in images, joined on this machine's loopback device.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { doorStreams, makeDoorSecret } from '../../src/streams/index.ts'
import { compileDoor, Door } from './support.ts'

const secret = makeDoorSecret()
const poll = { timeout: 30_000 }
let programs: string
let directory: string
let door: Door

beforeAll(async () => {
  programs = await mkdtemp(join(tmpdir(), 'tk-door-programs-'))
  await compileDoor(programs)
})
afterAll(() => rm(programs, { recursive: true }))

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-door-'))
  door = await Door.open(programs, directory)
})
afterEach(async () => {
  await door[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

function open(): Promise<Duplex> {
  return doorStreams({ dial: () => door.dial(), secret }).open({ kind: 'unix', path: door.service })
}

async function said(line: string): Promise<string> {
  const socket = await door.dial()
  socket.write(line)
  return await text(socket)
}

/** Waits until both ends are as they were before anybody came. */
async function allClosed(before: Door['descriptors']): Promise<void> {
  await expect.poll(() => door.descriptors, poll).toEqual(before)
}

test('its socket is for its owner alone', async () => {
  expect((await stat(door.path)).mode & 0o777).toBe(0o600)
})

test('nobody comes in before there is a secret, and who waited comes in then', async () => {
  const before = door.descriptors
  const waiting = open()
  // The container's end has taken it on, with a descriptor for each side; the guest's has not taken it.
  await expect.poll(() => door.descriptors, poll).toEqual({ box: before.box + 2, guest: before.guest })
  door.order(`admit ${secret}`)
  const stream = await waiting
  stream.end('hello')
  expect(await text(stream)).toBe('hello')
})

test.each([
  [
    'another secret',
    `${makeDoorSecret()} unix /var/run/docker.sock\n`,
    /^denied the secret is not that of this start\n$/,
  ],
  ['no request', 'GET / HTTP/1.1\r\n', /^denied this is no request\n$/],
  ['a line without an end', 'x'.repeat(10_000), /^(denied this is no request\n)?$/],
  ['two lines', `${secret} unix /x\nmore`, /^denied this is no request\n$/],
  ['a path that nobody listens at', `${secret} unix /nowhere.sock\n`, /^error No such file or directory\n$/],
  ['a port that nobody listens at', `${secret} tcp 9\n`, /^error Connection refused\n$/],
])('who comes with %s is told so, and is gone', async (_, line, answer) => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  expect(await said(line).catch(() => '')).toMatch(answer)
  await allClosed(before)
})

test('another secret ends what came with the one before', async () => {
  door.order(`admit ${secret}`)
  const stream = await open()
  stream.resume()
  door.order(`admit ${makeDoorSecret()}`)
  await once(stream, 'end')
  await expect(open()).rejects.toMatchObject({ code: 'DOOR_DENIED' })
})

test('300 streams at the same time, each with its own bytes, and no descriptor stays', async () => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  const streams = await Promise.all(Array.from({ length: 300 }, open))
  await expect.poll(() => door.sockets.size, poll).toBe(300)
  for (const [at, stream] of streams.entries()) stream.end(`I am ${at}`)
  expect(await Promise.all(streams.map((stream) => text(stream)))).toEqual(streams.map((_, at) => `I am ${at}`))
  await allClosed(before)
})

test('20 MB each way at once arrive as they were', async () => {
  door.order(`admit ${secret}`)
  const bytes = randomBytes(20_000_000)
  const stream = await open()
  stream.end(bytes)
  expect((await buffer(stream)).equals(bytes)).toBe(true)
})

test('the service ends first: its client still sends, and all of it arrives', async () => {
  door.order(`admit ${secret}`)
  const received = new Promise<Buffer>((resolve, reject) => {
    door.onSocket = (socket) => {
      socket.end('bye')
      buffer(socket).then(resolve, reject)
    }
  })
  const stream = await open()
  let said = ''
  stream.on('data', (piece) => (said += piece))
  await once(stream, 'end')
  expect(said).toBe('bye')
  stream.end(Buffer.alloc(3_000_000, 'x'))
  expect((await received).length).toBe(3_000_000)
})

test('a client that does not read holds the service back, and gets all of it later', async () => {
  door.order(`admit ${secret}`)
  const serving = new Promise<Socket>((resolve) => {
    door.onSocket = resolve
  })
  const stream = await open()
  const socket = await serving
  const bytes = 100_000_000
  socket.end(Buffer.alloc(bytes))
  // Sockets of three hops and a pipe for each end hold a few MB; the rest has not left.
  await expect.poll(() => socket.bytesWritten - socket.writableLength, poll).toBeLessThan(bytes / 2)
  let received = 0
  for await (const piece of stream) received += piece.length
  expect(received).toBe(bytes)
})

test('a client that is gone is gone for the service, which says nothing', async () => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  door.onSocket = (socket) => socket.resume()
  const stream = await open()
  stream.write('so long')
  await expect.poll(() => [...door.sockets][0]?.bytesRead, poll).toBe(7)
  stream.destroy()
  await allClosed(before)
})

test('an answer arrives whole that comes before the request was read, from a service that closes at once', async () => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  const answer = 'too big '.repeat(100_000)
  door.onSocket = (socket) => socket.once('data', () => socket.end(answer, () => socket.destroy()))
  const stream = await open()
  stream.on('error', () => {})
  stream.write(Buffer.alloc(30_000_000))
  let received = ''
  stream.on('data', (piece) => (received += piece))
  await expect.poll(() => received.length, poll).toBe(answer.length)
  stream.destroy()
  await allClosed(before)
})
