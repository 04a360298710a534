import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../log/index.ts'
import { HostPorts } from './host-ports.ts'

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
let ports: HostPorts

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-host-ports-'))
  offers = []
  answer = 'listening\n'
  ports = new HostPorts({ log: silentLogger, entry: 'v2' })
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
      if (!/^\d+\n$/.test(String(line))) return void socket.destroy()
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
const open = (number = port) => ports.open({ port: number, dial, gone: gone.signal })

const poll = { timeout: 30_000 }
/** Of each offer, whether its owner has gone: with an end, or with a reset where an answer was not read. */
const offersEnded = () => offers.map(({ readableEnded, destroyed }) => readableEnded || destroyed)

/** Somebody of the guest connects: gives his end, when the next offer is there. */
async function guestConnects(): Promise<Socket> {
  if (offers.length === 0) await once(box, 'offer')
  const guest = offers.shift() as Socket
  guest.write('connected\n')
  return guest
}

test('each connection of the guest is one to the service, with its bytes and both ends', async () => {
  await open()
  for (const said of ['hello', 'x'.repeat(1_000_000)]) {
    const guest = await guestConnects()
    guest.end(said)
    expect(String(await buffer(guest))).toBe(said)
  }
  await ports.close()
})

test('where nobody listens, whoever connects is told so, and the next is served', async () => {
  await open()
  service.close()
  const refused = await guestConnects()
  expect(await text(refused)).toBe('')
  if (offers.length === 0) await once(box, 'offer')
  service.listen(port, '127.0.0.1')
  await once(service, 'listening')
  const guest = await guestConnects()
  guest.end('again')
  expect(await text(guest)).toBe('again')
  await ports.close()
})

test('an offer that was lost is made again', async () => {
  await open()
  offers.shift()?.destroy()
  const guest = await guestConnects()
  guest.end('still there')
  expect(await text(guest)).toBe('still there')
  await ports.close()
})

test('a guest has 64 connections at a time through all its ports, and the next when one has ended', async () => {
  await open()
  const guests: Socket[] = []
  const connects = async () => {
    const guest = await guestConnects()
    guest.write('hello')
    return guest
  }
  while (guests.length < 64) {
    const guest = await connects()
    await once(guest, 'data')
    guests.push(guest)
  }
  const [next, other] = [await connects(), await open(port + 1).then(connects)]
  const answered = Promise.race([next, other].map((guest) => once(guest, 'data')))
  // Neither is offered again, nor carried: what is open is what was.
  expect(offers).toEqual([])
  guests[0]?.end()
  expect(String(await answered)).toBe('hello')
  await ports.close()
})

test('a port that is asked for again is offered once', async () => {
  await Promise.all([open(), open(), open()])
  await open()
  expect(offers).toHaveLength(1)
  await ports.close()
})

test('a port that could not be opened can be asked for again', async () => {
  answer = 'error Address already in use\n'
  await expect(open()).rejects.toMatchObject({ code: 'HOST_PORT_NOT_OPENED' })
  answer = 'listening\n'
  await open()
  await ports.close()
})

test('a guest has 32 ports, and one more is an error that says so', async () => {
  for (let at = 0; at < 32; at++) await open(1024 + at)
  await open(1024)
  await expect(open(2048)).rejects.toMatchObject({
    code: 'HOST_PORT_NOT_OPENED',
    message: expect.stringContaining(
      'v2: port 2048 of host.testkernels.internal cannot be opened for the guest, which has 32',
    ),
  })
  await ports.close()
})

test('close ends connections, and offers nothing any more', async () => {
  await open()
  const guest = await guestConnects()
  guest.write('hello')
  await once(guest, 'data')
  const closed = once(guest.resume(), 'end')
  await ports.close()
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
  await expect(ports.open({ port: 80, dial: refusing, gone: gone.signal })).rejects.toMatchObject({
    remedy: expect.stringContaining('net.ipv4.ip_unprivileged_port_start'),
  })
})

test('a VM that is gone ends the wait, with its reason', async () => {
  const died = new AbortController()
  answer = ''
  const opening = ports.open({ port, dial, gone: died.signal })
  await once(box, 'offer')
  died.abort(new Error('kernel panic'))
  await expect(opening).rejects.toThrow('kernel panic')
})

test('a VM that is stopped ends what is being opened, and opens nothing afterwards', async () => {
  await open()
  answer = ''
  const opening = open(port + 1)
  await once(box, 'offer')
  const stopped = { code: 'HOST_PORT_NOT_OPENED', message: expect.stringContaining('the virtual machine was stopped') }
  await Promise.all([ports.close(), expect(opening).rejects.toMatchObject(stopped)])
  for (const again of [port, port + 1, port + 2]) await expect(open(again)).rejects.toMatchObject(stopped)
  await expect.poll(offersEnded, poll).toEqual([true, true])
})

test('an offer that is answered while its VM is stopped is not served', async () => {
  answer = ''
  const opening = open()
  opening.catch(() => {})
  await once(box, 'offer')
  offers[0]?.write('listening\n')
  await ports.close()
  await Promise.allSettled([opening])
  await expect.poll(offersEnded, poll).toEqual([true])
})
