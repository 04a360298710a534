import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket as Stream } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Destination, datagramsIn, frameOf, type Streams } from '../../streams/index.ts'
import type { Listener } from '../listen.ts'
import { CLIENT_IDLE_MS, listenForDatagrams, MOST_CLIENTS } from './datagram-listener.ts'
import { loopbackAddress } from './published-ports.ts'

const address = loopbackAddress('auto')
/** Each waits for something that takes milliseconds, on a machine that may be busy. */
const deadline = { timeout: 30_000 }
vi.setConfig({ testTimeout: 60_000 })
/** The guest's ends of the streams, in the order in which they were opened. */
let opened: Stream[]
let destinations: Destination[]
let open: () => Promise<void>
let onStream: (guest: Stream) => void
let server: Server
let port: number
let listener: Listener
const clients = new Set<Socket>()

const streams: Streams = {
  open: async (destination) => {
    destinations.push(destination)
    await open()
    const stream = connect({ ...(server.address() as { port: number }), host: '127.0.0.1', allowHalfOpen: true })
    await once(stream, 'connect')
    return stream
  },
}

/** Answers each datagram with the number of its stream before it. */
async function serve(guest: Stream): Promise<void> {
  const number = opened.indexOf(guest)
  try {
    for await (const datagram of datagramsIn(guest)) guest.write(frameOf(Buffer.from(`${number} ${datagram}`)))
  } catch {
    // Its client is gone.
  }
}

async function client(): Promise<Socket> {
  const socket = createSocket('udp4')
  clients.add(socket)
  socket.connect(port, address)
  await once(socket, 'connect')
  return socket
}

async function ask(socket: Socket, question: string): Promise<string> {
  const answered = once(socket, 'message')
  socket.send(question)
  const [answer] = await answered
  return String(answer)
}

async function freePort(): Promise<number> {
  const probe = createSocket('udp4').bind(0, address)
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

beforeEach(async () => {
  opened = []
  destinations = []
  open = async () => {}
  onStream = (guest) => void serve(guest)
  server = createServer((guest) => {
    opened.push(guest)
    onStream(guest)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = await freePort()
  listener = await listenForDatagrams({ address, port }, streams)
})

afterEach(async () => {
  vi.useRealTimers()
  for (const socket of clients) socket.close()
  clients.clear()
  await listener.close()
  server.close()
})

test('each client has a stream of its own, and gets the answers to what it sent', async () => {
  const [one, other] = [await client(), await client()]
  expect(await ask(one, 'first')).toBe('0 first')
  expect(await ask(other, 'second')).toBe('1 second')
  expect(await ask(one, '')).toBe('0 ')
  expect(await ask(one, 'x'.repeat(60_000))).toBe(`0 ${'x'.repeat(60_000)}`)
  expect(destinations.at(-1)).toEqual({ kind: 'udp', port })
  expect(opened).toHaveLength(2)
})

test('what is sent before there is a way into the guest goes on in its order', async () => {
  let ready = () => {}
  open = () => new Promise((resolve) => (ready = resolve))
  const heard: string[] = []
  onStream = async (guest) => {
    for await (const datagram of datagramsIn(guest)) heard.push(String(datagram))
  }
  const socket = await client()
  for (const word of ['one', 'two', 'three']) socket.send(word)
  await expect.poll(() => destinations.length, deadline).toBe(1)
  ready()
  await expect.poll(() => heard, deadline).toEqual(['one', 'two', 'three'])
})

test('a client who is silent for long is forgotten, and has another stream when it speaks again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const socket = await client()
  await ask(socket, 'first')
  vi.advanceTimersByTime(CLIENT_IDLE_MS - 1)
  expect(await ask(socket, 'in time')).toBe('0 in time')
  const over = once(opened[0] as Stream, 'close')
  vi.advanceTimersByTime(CLIENT_IDLE_MS)
  await over
  expect(await ask(socket, 'again')).toBe('1 again')
})

test(`of more than ${MOST_CLIENTS} clients, the one that was silent for the longest is forgotten`, async () => {
  const [first, second] = [await client(), await client()]
  await ask(first, 'a')
  await ask(second, 'b')
  await ask(first, 'still here')
  await Promise.all(Array.from({ length: MOST_CLIENTS - 2 }, async () => await ask(await client(), 'c')))
  const over = once(opened[1] as Stream, 'close')
  await ask(await client(), 'one more')
  await over
  expect(await ask(first, 'and now')).toBe('0 and now')
})

test('a stream that ends or cannot be opened is its own affair: the next datagram has another', async () => {
  const socket = await client()
  open = () => Promise.reject(new Error('refused'))
  socket.send('lost')
  await expect.poll(() => destinations.length, deadline).toBe(1)
  open = async () => {}
  expect(await ask(socket, 'again')).toBe('0 again')
  const answers: string[] = []
  socket.on('message', (answer) => answers.push(String(answer)))
  opened[0]?.destroy()
  // Until we have heard of the end, what is sent goes to the old one.
  await expect
    .poll(() => {
      socket.send('anew')
      return answers
    }, deadline)
    .toContain('1 anew')
})

test('of what a guest does not take, no more is kept than a receive buffer holds', async () => {
  const stream = new Duplex({ read() {}, write() {} })
  await listener.close()
  listener = await listenForDatagrams({ address, port }, { open: async () => stream })
  const socket = await client()
  // In turns, so that the system loses none of them.
  for (let at = 0; at < 100; at++) {
    await new Promise((resolve) => socket.send(Buffer.alloc(50_000), resolve))
    await setImmediate()
  }
  await expect.poll(() => stream.writableLength, deadline).toBeGreaterThan(900_000)
  expect(stream.writableLength).toBeLessThanOrEqual(1 << 20)
})

test('nothing is left after the end, and the port is free', async () => {
  const socket = await client()
  await ask(socket, 'first')
  const over = once(opened[0] as Stream, 'close')
  await listener.close()
  await over
  listener = await listenForDatagrams({ address, port }, streams)
  expect(await ask(await client(), 'anew')).toBe('1 anew')
})

test('an address that somebody else has is an error', async () => {
  await expect(listenForDatagrams({ address, port }, streams)).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
