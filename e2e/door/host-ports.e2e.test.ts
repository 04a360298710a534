// Ports of this machine as the container's end of the door has them for its guest, who is played here.
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HostPorts } from '../../src/forward/host-ports.ts'
import { silentLogger } from '../../src/log/index.ts'
import { type Door, HOST_ADDRESS, openDoorForEachTest } from './support.ts'

const poll = { timeout: 30_000 }
const never = new AbortController().signal
let door: Door
let service: Server
let port: number

openDoorForEachTest((opened) => {
  door = opened
})

beforeEach(async () => {
  service = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(service, 'listening')
  port = (service.address() as AddressInfo).port
})
afterEach(() => {
  service.close()
})

async function open(): Promise<HostPorts> {
  const ports = new HostPorts({ log: silentLogger, entry: 'v2' })
  await ports.open({ port, dial: () => door.dial(door.hostPortsPath), gone: never })
  return ports
}

async function guestConnects(): Promise<Socket> {
  const socket = connect({ host: HOST_ADDRESS, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

/** What is answered to a line; when not all of it was read, a reset follows. */
async function said(line: string): Promise<string> {
  const socket = await door.dial(door.hostPortsPath)
  let answer = ''
  socket.on('data', (bytes) => {
    answer += String(bytes)
  })
  socket.once('end', () => socket.end())
  socket.write(line)
  await new Promise((resolve) => socket.once('close', resolve))
  return answer
}

test('the socket where ports are offered is for its owner alone', async () => {
  expect((await stat(door.hostPortsPath)).mode & 0o777).toBe(0o600)
})

test('100 connections at once arrive, each with its own bytes, and no descriptor stays', async () => {
  const opened = await open()
  // The port, and the offer that waits.
  const atRest = door.descriptors.box
  const guests = await Promise.all(Array.from({ length: 100 }, guestConnects))
  for (const [at, guest] of guests.entries()) guest.end(`I am ${at}`)
  expect(await Promise.all(guests.map((guest) => text(guest)))).toEqual(guests.map((_, at) => `I am ${at}`))
  await expect.poll(() => door.descriptors.box, poll).toBe(atRest)
  await opened.close()
  // The port stays open for the next offer.
  await expect.poll(() => door.descriptors.box, poll).toBe(atRest - 1)
})

test('20 MB each way arrive as they were', async () => {
  const opened = await open()
  const bytes = Buffer.alloc(20_000_000, 'a line of text\n')
  const guest = await guestConnects()
  guest.end(bytes)
  expect((await buffer(guest)).equals(bytes)).toBe(true)
  await opened.close()
})

test('before it is offered a port refuses, and who connects when the owner is away is served by the next offer', async () => {
  await expect(guestConnects()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const before = door.descriptors.box
  await (await open()).close()
  // The port alone is left when the container's end has noticed.
  await expect.poll(() => door.descriptors.box, poll).toBe(before + 1)
  const guest = await guestConnects()
  guest.end('patient')
  const opened = await open()
  expect(await text(guest)).toBe('patient')
  await opened.close()
})

test.each([
  ['no port', 'http\n', 'error this is no port\n'],
  ['a port that has another way to be written', '080\n', 'error this is no port\n'],
  ['more than a line', '8080\n8081\n', 'error this is no port\n'],
  ['a line without an end', 'x'.repeat(10_000), 'error this is no port\n'],
])('an offer of %s is turned down', async (_, line, answer) => {
  const before = door.descriptors
  expect(await said(line)).toBe(answer)
  await expect.poll(() => door.descriptors, poll).toEqual(before)
})

test('a port that cannot be opened is told with the reason', async () => {
  const taken = createServer().listen(port, HOST_ADDRESS)
  await once(taken, 'listening')
  // As the C library of the runner image says it.
  await expect(open()).rejects.toMatchObject({
    code: 'HOST_PORT_NOT_OPENED',
    message: expect.stringMatching(/cause: Address (already )?in use/),
  })
  taken.close()
})
