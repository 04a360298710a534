import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { connectToTestServer, startTestServer, type TestServer } from '../ssh/testing/server.ts'
import {
  CONNECTION_DEADLINE_MS,
  MOST_AT_THE_DOOR,
  MOST_CHANNELS,
  MOST_DATAGRAM_STREAMS,
  SshAccess,
  sparingStreams,
} from './ssh.ts'
import { type Destination, StreamRefusedError, type Streams } from './streams.ts'

let server: TestServer
let connects: number
let access: SshAccess

beforeEach(async () => {
  server = await startTestServer()
  connects = 0
  access = new SshAccess((signal) => {
    connects++
    return connectToTestServer(server, signal)
  })
})

afterEach(async () => {
  await access.close()
  await server[Symbol.asyncDispose]()
})

test('connects when it is first needed, and once', async () => {
  expect(connects).toBe(0)
  const [one, other] = await Promise.all([access.connection(), access.connection()])
  expect(one).toBe(other)
  expect(await access.connection()).toBe(one)
  expect(connects).toBe(1)
})

test('a connection that was lost is made anew', async () => {
  const first = await access.connection()
  server.cut()
  if (!first.ended.aborted) await once(first.ended, 'abort')
  const second = await access.connection()
  expect((await second.exec(['echo', 'again'])).stdout).toBe('again\n')
})

test('one that could not be made is tried again', async () => {
  let failures = 1
  const flaky = new SshAccess(async () => {
    if (failures-- > 0) throw new Error('not yet')
    return await access.connection()
  })
  await expect(flaky.connection()).rejects.toThrow('not yet')
  expect(await flaky.connection()).toBe(await access.connection())
})

test('close ends the connection, or the making of it, and there is none afterwards', async () => {
  const connection = await access.connection()
  await access.close()
  expect(connection.ended.reason).toMatchObject({ code: 'SSH_CONNECTION_CLOSED' })
  await expect(access.connection()).rejects.toThrow('the virtual machine was stopped')

  const never = new SshAccess((signal) => new Promise((_, reject) => (signal.onabort = () => reject(signal.reason))))
  const connecting = never.connection()
  await Promise.all([never.close(), expect(connecting).rejects.toThrow('the virtual machine was stopped')])
})

/** A service at a socket of this machine, the ways to it, and which way each stream went. */
async function echoing() {
  const path = join(tmpdir(), `tk-ssh-streams-${process.pid}.sock`)
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(path)
  await once(echo, 'listening')
  const ways: string[] = []
  const door: Streams = {
    async open({ kind }) {
      ways.push(`door: ${kind}`)
      const socket = connect({ path, allowHalfOpen: true })
      await once(socket, 'connect')
      return socket
    },
  }
  const ssh = {
    connection: async () => {
      ways.push('ssh')
      return await access.connection()
    },
  }
  const close = async () => {
    echo.close()
    await once(echo, 'close')
  }
  return { destination: { kind: 'unix', path }, door, ssh, ways, close } as const
}

const atTheDoor = (streams: Streams, destination: Destination) =>
  Promise.all(Array.from({ length: MOST_AT_THE_DOOR }, () => streams.open(destination)))

async function expectEcho(stream: Duplex, said: string): Promise<void> {
  stream.end(said)
  expect(await text(stream)).toBe(said)
}

test('a few streams go through the door, and those beside them over one SSH connection', async () => {
  const { destination, door, ssh, ways, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const few = await atTheDoor(streams, destination)
  expect(ways).toEqual(few.map(() => 'door: unix'))
  expect(connects).toBe(0)
  ways.length = 0
  const many = await Promise.all(Array.from({ length: 20 }, () => streams.open(destination)))
  expect(ways).toEqual(many.map(() => 'ssh'))
  expect(connects).toBe(1)
  await Promise.all([...few, ...many].map((stream, at) => expectEcho(stream, `stream ${at}`)))
  ways.length = 0
  await expectEcho(await streams.open(destination), 'there is room again')
  expect(ways).toEqual(['door: unix'])
  await close()
})

test('what SSH does not carry and what has to go first are never its own', async () => {
  const { destination, door, ssh, ways, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const few = await atTheDoor(streams, destination)
  ways.length = 0
  const others = [
    await streams.open({ kind: 'udp', port: 53 }),
    await streams.open({ kind: 'directory', path: '/srv', access: 'read-only' }),
    await streams.open(destination, { turn: 'first' }),
  ]
  expect(ways).toEqual(['door: udp', 'door: directory', 'door: unix'])
  for (const stream of [...few, ...others]) stream.destroy()
  await close()
})

test('a refusal over SSH is the same as of the door', async () => {
  const { destination, door, ssh, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const few = await atTheDoor(streams, destination)
  await expect(streams.open({ kind: 'unix', path: '/nowhere.sock' })).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringContaining('nothing in the virtual machine accepts connections at /nowhere.sock'),
  })
  for (const stream of few) stream.destroy()
  await close()
})

const noConnection = {
  'fails to come': () => Promise.reject(new Error('no server')),
  // A guest whose loopback device is down.
  'is refused': () => Promise.reject(new StreamRefusedError({ what: 'nothing accepts', remedy: 'none' })),
  'does not come in time': () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    setImmediate(() => vi.advanceTimersByTime(CONNECTION_DEADLINE_MS))
    return new Promise<never>(() => {})
  },
}

test.each(Object.entries(noConnection))('where an SSH connection %s all go through the door', async (_, connection) => {
  const { destination, door, close } = await echoing()
  const streams = sparingStreams({ door, ssh: { connection } })
  const few = await atTheDoor(streams, destination)
  const stream = await streams.open(destination)
  vi.useRealTimers()
  await expectEcho(stream, 'all the same')
  for (const stream of few) stream.destroy()
  await close()
})

test('what a lost SSH connection carried fails, and what comes next has another', async () => {
  const { destination, door, ssh, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const few = await atTheDoor(streams, destination)
  const lost = await streams.open(destination)
  server.cut()
  await expect(text(lost)).rejects.toMatchObject({ code: 'SSH_CONNECTION_LOST' })
  await expectEcho(await streams.open(destination), 'another')
  expect(connects).toBe(2)
  for (const stream of few) stream.destroy()
  await close()
})

test('clients of UDP have a share of their own, and wait for each other alone', async () => {
  const { destination, door, ssh, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const udp = { kind: 'udp', port: 53 } as const
  const clients = await Promise.all(Array.from({ length: MOST_DATAGRAM_STREAMS }, () => streams.open(udp)))
  const one = streams.open(udp)
  await expectEcho(await streams.open(destination), 'no client of UDP')
  clients.pop()?.destroy()
  for (const stream of [...clients, await one]) stream.destroy()
  await close()
})

test('more channels than one connection may have wait until one ends', async () => {
  const { destination, door, ssh, close } = await echoing()
  const streams = sparingStreams({ door, ssh })
  const few = await atTheDoor(streams, destination)
  const [first, ...more] = await Promise.all(Array.from({ length: MOST_CHANNELS }, () => streams.open(destination)))
  const calledOff = new AbortController()
  const never = streams.open(destination, { signal: calledOff.signal })
  const next = streams.open(destination)
  calledOff.abort(new Error('changed my mind'))
  await expect(never).rejects.toThrow('changed my mind')
  await expectEcho(first as Duplex, 'over')
  await expectEcho(await next, 'its turn')
  for (const stream of [...few, ...more]) stream.destroy()
  await close()
})
