// Name servers that the container's end of the door asks for its guest, who is played here by a resolver that keeps its socket (c-ares).
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket as Stream } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { isRoot } from '../support/users.ts'
import { compileDoor, Door, HOST_ADDRESS } from './support.ts'

/** Of the loopback device: the guest's name servers, and the one that is asked in their place. */
const OVER_IPV6 = '127.77.0.2'
const OVER_IPV4 = '127.77.0.3'
const ALONE = '127.77.0.4'
const UPSTREAM = '127.77.0.53'
const PORT = 53
const ANSWER = [198, 51, 100, 7]

let directory: string
let door: Door
const upstreams: (Socket | Server)[] = []
/** What was passed on over UDP, and the connections that were over TCP and are open. */
const passedOn: Buffer[] = []
const streams = new Set<Stream>()

beforeAll(async () => {
  if (!isRoot) return
  directory = await mkdtemp(join(tmpdir(), 'tk-door-'))
  await compileDoor(directory)
  for (const [type, address] of [['udp6', '::1'] as const, ['udp4', UPSTREAM] as const])
    await startUpstream(type, address)
  door = await Door.open(directory, directory, [`${OVER_IPV6}=::1`, `${OVER_IPV4}=${UPSTREAM}`, ALONE])
})
afterAll(async () => {
  await door?.[Symbol.asyncDispose]()
  for (const upstream of upstreams) upstream.close()
  if (directory !== undefined) await rm(directory, { recursive: true })
})

/** A name server that knows one address for all names; of names with `long` in it, it tells that over TCP alone. */
async function startUpstream(type: 'udp4' | 'udp6', address: string): Promise<void> {
  const socket = createSocket(type)
  socket.on('message', (question: Buffer, { port, address: asker }: RemoteInfo) => {
    passedOn.push(question)
    const isLong = question.includes('long')
    socket.send(isLong ? truncated(question) : answered(question), port, asker)
  })
  socket.bind(PORT, address)
  await once(socket, 'listening')
  const server = createServer((stream) => {
    streams.add(stream)
    stream.once('close', () => streams.delete(stream))
    stream.on('error', () => {})
    stream.once('data', (question: Buffer) => {
      const answer = answered(question.subarray(2))
      stream.end(Buffer.concat([Buffer.from([answer.length >> 8, answer.length & 0xff]), answer]))
    })
  }).listen(PORT, address)
  await once(server, 'listening')
  upstreams.push(socket, server)
}

/** The question alone, without what a resolver adds to it. */
function questionIn(message: Buffer): Buffer {
  const end = message.indexOf(0, 12) + 5
  const question = Buffer.from(message.subarray(0, end))
  question.writeUInt16BE(0x8180, 2)
  question.fill(0, 6, 12)
  return question
}

function truncated(message: Buffer): Buffer {
  const answer = questionIn(message)
  answer.writeUInt16BE(0x8380, 2)
  return answer
}

function answered(message: Buffer): Buffer {
  const question = questionIn(message)
  question.writeUInt16BE(1, 6)
  return Buffer.concat([question, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...ANSWER])])
}

function resolverAt(server: string, tries = 4): Resolver {
  const resolver = new Resolver({ tries, timeout: 10_000 })
  resolver.setServers([server])
  return resolver
}

test.runIf(isRoot).each([OVER_IPV6, OVER_IPV4])('at %s all names but ours are asked for upstream', async (server) => {
  const resolver = resolverAt(server)
  const before = door.descriptors
  for (const name of ['one.example', 'two.example']) {
    expect(await resolver.resolve4(name)).toEqual([ANSWER.join('.')])
    expect(await resolver.resolve4('HOST.testkernels.internal')).toEqual([HOST_ADDRESS])
  }
  // Of IPv6 it has no address, which is an answer.
  await expect(resolver.resolve6('host.testkernels.internal')).rejects.toMatchObject({ code: 'ENODATA' })
  // An answer that is too long is asked for again, over TCP.
  expect(await resolver.resolve4('long.example')).toEqual([ANSWER.join('.')])
  await expect.poll(() => door.descriptors, { timeout: 30_000 }).toEqual(before)
})

test.runIf(isRoot)('300 questions at a time have their answers', async () => {
  const names = Array.from({ length: 300 }, (_, at) => `name-${at}.example`)
  const answers = await Promise.all(names.map((name) => resolverAt(OVER_IPV6).resolve4(name)))
  expect(answers.flat()).toEqual(names.map(() => ANSWER.join('.')))
})

test.runIf(isRoot)('a server whose packets lead elsewhere answers for our name alone', async () => {
  const resolver = resolverAt(ALONE)
  expect(await resolver.resolve4('host.testkernels.internal')).toEqual([HOST_ADDRESS])
})

/** A question of IPv4's addresses, as messages have it. */
function questionFor(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`))
  return Buffer.concat([Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]), ...labels, Buffer.from([0, 0, 1, 0, 1])])
}

function changed(message: Buffer, at: number, byte: number): Buffer {
  const copy = Buffer.from(message)
  copy.writeUInt8(byte, at)
  return copy
}

test.runIf(isRoot)('what has our name and is no question for it is passed on to nobody', async () => {
  const ours = questionFor('HOST.testkernels.internal')
  const ends = ours.length - 4
  const strange = {
    'an update': changed(ours, 2, 0x28),
    'an answer': changed(ours, 2, 0x81),
    'two questions': Buffer.concat([changed(ours, 5, 2), questionFor('secret.example').subarray(12)]),
    'no end': ours.subarray(0, ends),
  }
  const guest = createSocket('udp4')
  const told: Buffer[] = []
  guest.on('message', (message) => told.push(message))
  passedOn.length = 0
  const other = questionFor('after.example')
  for (const message of [...Object.values(strange), other]) guest.send(message, PORT, OVER_IPV6)
  // The door takes them in their order, and so does who is asked.
  await expect.poll(() => told.length, { timeout: 30_000 }).toBe(1)
  guest.close()
  expect(passedOn).toEqual([other])
  expect(told[0]?.subarray(-4)).toEqual(Buffer.from(ANSWER))
})

test.runIf(isRoot)('256 connections are passed on at a time, and the next when one has ended', async () => {
  const before = door.descriptors.box
  const open = () => connect(PORT, OVER_IPV6)
  const guests = Array.from({ length: 256 }, open)
  await expect.poll(() => streams.size, { timeout: 30_000 }).toBe(256)
  expect(await text(open())).toBe('')
  expect(streams.size).toBe(256)
  for (const guest of guests) guest.destroy()
  await expect.poll(() => door.descriptors.box, { timeout: 30_000 }).toBeLessThanOrEqual(before)
  expect(await resolverAt(OVER_IPV6).resolve4('long.example')).toEqual([ANSWER.join('.')])
})
