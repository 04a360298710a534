// The two programs of the door (images/door) as they are in images, joined on this machine's loopback device.
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { datagramsIn, doorStreams, frameOf, makeDoorSecret } from '../../src/streams/index.ts'
import { type Door, openDoorForEachTest } from './support.ts'

const secret = makeDoorSecret()
const poll = { timeout: 30_000 }
let door: Door

openDoorForEachTest((opened) => {
  door = opened
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

/** A UDP service of this machine's loopback device, which tells each client its port and what it sent; until it is closed. */
async function datagramService(port = 0): Promise<DatagramSocket> {
  const service = createSocket('udp4')
  service.on('message', (datagram, { port: from }) =>
    service.send(Buffer.concat([Buffer.from(`${from} `), datagram]), from, '127.0.0.1'),
  )
  service.bind(port, '127.0.0.1')
  await once(service, 'listening')
  return service
}

async function openDatagrams(port: number) {
  const stream = await doorStreams({ dial: () => door.dial(), secret }).open({ kind: 'udp', port })
  const answers = datagramsIn(stream)
  const send = (datagram: string) => stream.write(frameOf(Buffer.from(datagram)))
  const ask = async (question: string) => {
    send(question)
    return String((await answers.next()).value)
  }
  return { stream, answers, send, ask }
}

test('datagrams arrive one by one, of each stream from a port of its own, and so do their answers', async () => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  const service = await datagramService()
  const { port } = service.address()
  const [one, other] = [await openDatagrams(port), await openDatagrams(port)]
  const from = Number.parseInt(await one.ask('hello'), 10)
  expect(await one.ask('')).toBe(`${from} `)
  const long = 'x'.repeat(65_507 - `${from} `.length)
  expect(await one.ask(long)).toBe(`${from} ${long}`)
  expect(Number.parseInt(await other.ask('hello'), 10)).not.toBe(from)
  // Longer than any that UDP carries: it is lost, and those behind it are not.
  one.send('y'.repeat(65_535))
  expect(await one.ask('still here')).toBe(`${from} still here`)
  one.stream.destroy()
  other.stream.end()
  await allClosed(before)
  service.close()
})

test('datagrams in one piece are as many, and one in many pieces is one', async () => {
  door.order(`admit ${secret}`)
  const service = await datagramService()
  const { stream, answers } = await openDatagrams(service.address().port)
  stream.write(Buffer.concat(['a', 'b', 'c'].map((word) => frameOf(Buffer.from(word)))))
  for (const word of ['a', 'b', 'c']) expect(String((await answers.next()).value)).toMatch(new RegExp(` ${word}$`))
  for (const byte of frameOf(Buffer.from('bytes')))
    await new Promise((resolve) => stream.write(Buffer.of(byte), resolve))
  expect(String((await answers.next()).value)).toMatch(/ bytes$/)
  stream.destroy()
  service.close()
})

test('nobody need listen yet: the first datagram that is sent after somebody does arrives', async () => {
  door.order(`admit ${secret}`)
  const probe = await datagramService()
  const { port } = probe.address()
  const closed = once(probe, 'close')
  probe.close()
  await closed
  const client = await openDatagrams(port)
  for (let at = 0; at < 10; at++) client.send('nobody hears this')
  const service = await datagramService(port)
  let heard = await client.ask('and this?')
  // Some of those before it may have been on their way still.
  while (heard.endsWith('nobody hears this')) heard = String((await client.answers.next()).value)
  expect(heard).toMatch(/ and this\?$/)
  client.stream.destroy()
  service.close()
})

test('a client that does not read its answers loses some of them, keeps nobody waiting, and reads whole ones later', async () => {
  door.order(`admit ${secret}`)
  const before = door.descriptors
  const answer = Buffer.alloc(60_000, 'z')
  const service = createSocket('udp4').bind(0, '127.0.0.1')
  await once(service, 'listening')
  const { port } = service.address()
  const lazy = await openDatagrams(port)
  lazy.send('hello')
  const [, { port: from }] = (await once(service, 'message')) as [Buffer, { port: number }]
  for (let at = 0; at < 2_000; at++) {
    await new Promise((resolve) => service.send(answer, from, '127.0.0.1', resolve))
  }
  service.on('message', (_, client) => service.send('at once', client.port, client.address))
  const other = await openDatagrams(port)
  expect(await other.ask('and me?')).toBe('at once')
  for (let at = 0; at < 2; at++) expect((await lazy.answers.next()).value?.equals(answer)).toBe(true)
  lazy.stream.destroy()
  other.stream.destroy()
  await allClosed(before)
  service.close()
})

test('another secret ends streams of datagrams as well', async () => {
  door.order(`admit ${secret}`)
  const service = await datagramService()
  const before = door.descriptors
  const { answers, ask } = await openDatagrams(service.address().port)
  await ask('hello')
  door.order(`admit ${makeDoorSecret()}`)
  expect((await answers.next()).done).toBe(true)
  await allClosed(before)
  service.close()
})
