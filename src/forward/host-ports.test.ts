import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../log/index.ts'
import { openHostPort } from './host-ports.ts'

/** A service of this machine, and where the container of a VM takes offers. */
let service: Server
let box: Server
let directory: string
let port: number
const sockets = new Set<Socket>()
/** Connections of the owner whose line was answered, in order. */
let offers: Socket[]
/** What an offer is answered by. */
let answer: string
const gone = new AbortController()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-host-ports-'))
  offers = []
  answer = 'listening\n'
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  service = createServer({ allowHalfOpen: true }, (socket) => {
    keep(socket)
    socket.pipe(socket)
  })
  service.listen(0, '127.0.0.1')
  await once(service, 'listening')
  port = (service.address() as AddressInfo).port
  box = createServer({ allowHalfOpen: true }, (socket) => {
    keep(socket)
    socket.once('data', (line: Buffer) => {
      if (String(line) !== `${port}\n`) return void socket.destroy()
      socket.write(answer)
      offers.push(socket)
      box.emit('offer')
    })
  })
  box.listen(join(directory, 'box.sock'))
  await once(box, 'listening')
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  service.close()
  box.close()
  await rm(directory, { recursive: true })
})

const dial = async () => {
  const socket = connect({ path: join(directory, 'box.sock'), allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}
const open = () => openHostPort({ port, dial, gone: gone.signal, log: silentLogger, entry: 'v2' })

/** Somebody of the guest connects: gives his end, when the next offer is there. */
async function guestConnects(): Promise<Socket> {
  if (offers.length === 0) await once(box, 'offer')
  const guest = offers.shift() as Socket
  guest.write('connected\n')
  return guest
}

test('each connection of the guest is one to the service, with its bytes and both ends', async () => {
  const opened = await open()
  for (const said of ['hello', 'x'.repeat(1_000_000)]) {
    const guest = await guestConnects()
    guest.end(said)
    expect(String(await buffer(guest))).toBe(said)
  }
  await opened.close()
})

test('where nobody listens, whoever connects is told so, and the next is served', async () => {
  const opened = await open()
  service.close()
  const refused = await guestConnects()
  expect(await text(refused)).toBe('')
  if (offers.length === 0) await once(box, 'offer')
  service.listen(port, '127.0.0.1')
  await once(service, 'listening')
  const guest = await guestConnects()
  guest.end('again')
  expect(await text(guest)).toBe('again')
  await opened.close()
})

test('an offer that was lost is made again', async () => {
  const opened = await open()
  offers.shift()?.destroy()
  const guest = await guestConnects()
  guest.end('still there')
  expect(await text(guest)).toBe('still there')
  await opened.close()
})

test('a guest has 256 connections at a time, and the next when one has ended', async () => {
  const opened = await open()
  const guests: Socket[] = []
  for (let at = 0; at < 256; at++) {
    const guest = await guestConnects()
    guest.write('hello')
    await once(guest, 'data')
    guests.push(guest)
  }
  expect(offers).toEqual([])
  guests[0]?.end()
  const next = await guestConnects()
  next.end('room')
  expect(await text(next)).toBe('room')
  await opened.close()
})

test('close ends connections, and offers nothing any more', async () => {
  const opened = await open()
  const guest = await guestConnects()
  guest.write('hello')
  await once(guest, 'data')
  const closed = once(guest.resume(), 'end')
  await opened.close()
  await closed
  await expect.poll(() => sockets.size).toBeLessThanOrEqual(2)
})

test.each([
  ['error Permission denied\n', 'cause: Permission denied'],
  ['\n', 'cause: '],
])('a container that answers %j has not opened it', async (said, cause) => {
  answer = said
  await expect(open()).rejects.toMatchObject({
    code: 'HOST_PORT_NOT_OPENED',
    message: expect.stringMatching(
      new RegExp(`^v2: port ${port} of host.testkernels.internal cannot be opened for the guest\n {2}${cause}`),
    ),
  })
})

test('of a port below 1024 the error says what engines may not let containers do', async () => {
  const refusing = async () => {
    const socket = await dial()
    setImmediate(() => [...sockets].at(-1)?.end('error Permission denied\n'))
    return socket
  }
  await expect(openHostPort({ port: 80, dial: refusing, gone: gone.signal, log: silentLogger })).rejects.toMatchObject({
    remedy: expect.stringContaining('net.ipv4.ip_unprivileged_port_start'),
  })
})

test('a VM that is gone ends the wait, with its reason', async () => {
  const died = new AbortController()
  answer = ''
  const opening = openHostPort({ port, dial, gone: died.signal, log: silentLogger })
  await once(box, 'offer')
  died.abort(new Error('kernel panic'))
  await expect(opening).rejects.toThrow('kernel panic')
})
