import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { orAborted } from '../lifetime/index.ts'
import { type DoorOptions, doorStreams, makeDoorSecret, waitForDoor } from './door.ts'

const secret = makeDoorSecret()
const docker = { kind: 'unix', path: '/var/run/docker.sock' } as const
const deadline = () => AbortSignal.timeout(10_000)
let directory: string
let socketPath: string
let server: Server
/** What the other end does with a connection, once its first line has come. */
let answer: (line: string, socket: Socket) => void
const sockets = new Set<Socket>()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-door-'))
  socketPath = join(directory, 'door.sock')
  server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    socket.once('data', (piece: Buffer) => answer(String(piece), socket))
  })
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  server.close()
  await rm(directory, { recursive: true })
})

async function dial(): Promise<Socket> {
  const socket = connect({ path: socketPath, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

async function listen(): Promise<void> {
  server.listen(socketPath)
  await once(server, 'listening')
}

test('makes a secret for each start', () => {
  expect(secret).toMatch(/^[0-9a-f]{64}$/)
  expect(makeDoorSecret()).not.toBe(secret)
})

test.each([
  [docker, 'unix /var/run/docker.sock'],
  [{ kind: 'tcp', port: 61022 } as const, 'tcp 61022'],
  [{ kind: 'udp', port: 53 } as const, 'udp 53'],
  [{ kind: 'tcp', port: 80, family: 'IPv6' } as const, 'tcp6 80'],
  [{ kind: 'udp', port: 53, family: 'IPv6' } as const, 'udp6 53'],
])('asks for %j with the secret, and passes on what is behind the answer', async (destination, asked) => {
  let heard = ''
  answer = (line, socket) => {
    heard = line
    socket.write('ok\nhel')
    socket.on('data', (piece) => socket.write(piece))
    socket.once('end', () => socket.end())
  }
  await listen()
  const stream = await doorStreams({ dial, secret }).open(destination)
  expect(heard).toBe(`${secret} ${asked}\n`)
  stream.end('lo')
  expect(await text(stream)).toBe('hello')
})

test('an answer that comes in pieces is one', async () => {
  answer = (_, socket) => {
    socket.write('o')
    setImmediate(() => socket.write('k'))
    setImmediate(() => setImmediate(() => socket.end(`\n${'x'.repeat(100_000)}`)))
  }
  await listen()
  const stream = await doorStreams({ dial, secret }).open(docker)
  expect((await buffer(stream)).length).toBe(100_000)
})

test('a refusal names the destination and the reason', async () => {
  answer = (_, socket) => socket.end('error Connection refused\n')
  await listen()
  await expect(doorStreams({ dial, secret, entry: 'v1' }).open(docker)).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringMatching(/^v1: .*\/var\/run\/docker\.sock\n {2}cause: Connection refused$/m),
  })
})

test.each<[string, typeof answer]>([
  ['ends without an answer', (_, socket) => socket.end()],
  ['breaks off', (_, socket) => socket.destroy()],
  ['says more than any door', (_, socket) => socket.end('x'.repeat(10_000))],
])('a guest that %s is lost', async (_, behaviour) => {
  answer = behaviour
  await listen()
  await expect(doorStreams({ dial, secret }).open(docker)).rejects.toMatchObject({ code: 'STREAMS_LOST' })
})

test('where nobody listens, there is no way in', async () => {
  await expect(doorStreams({ dial, secret }).open(docker)).rejects.toMatchObject({
    code: 'STREAMS_LOST',
    message: expect.stringContaining('ENOENT'),
  })
})

test('an abort ends an opening that is not answered', async () => {
  const stop = new AbortController()
  answer = () => stop.abort(new Error('stopped by the user'))
  await listen()
  const opening = doorStreams({ dial, secret }).open(docker, { signal: stop.signal })
  await expect(opening).rejects.toThrow('stopped by the user')
  await expect.poll(() => sockets.size).toBe(1)
  const [left] = sockets
  left?.resume()
  await once(left as Socket, 'end', { signal: deadline() })
})

test('a start waits until there is a door and a guest behind it', async () => {
  let asked = 0
  const opened = new Promise<void>((resolve) => {
    answer = (_, socket) => {
      if (++asked < 3) return void socket.end()
      socket.write('ok\n')
      socket.once('end', resolve)
    }
  })
  const waiting = waitForDoor(doorStreams({ dial, secret }), docker, deadline())
  await listen()
  await waiting
  await opened
  expect(asked).toBe(3)
})

test('for a start, a door that knows of no dockerd is open all the same', async () => {
  answer = (_, socket) => socket.end('error No such file or directory\n')
  await listen()
  await waitForDoor(doorStreams({ dial, secret }), docker, deadline())
})

test.each(['the secret is not that of this start', 'the guest has another owner'])(
  "a guest that is still its former owner's is asked again: %s",
  async (reason) => {
    let asked = 0
    answer = (_, socket) => socket.end(++asked < 3 ? `denied ${reason}\n` : 'ok\n')
    await listen()
    await waitForDoor(doorStreams({ dial, secret }), docker, deadline())
    expect(asked).toBe(3)
  },
)

test('who waits for others has all its time again whenever one of them gets on', async () => {
  vi.useFakeTimers()
  try {
    let advance = () => {}
    const waits: DoorOptions['dial'] = (signal, { onAdvance }) => {
      advance = onAdvance
      return orAborted(new Promise<Duplex>(() => {}), signal)
    }
    let isOver = false
    const failure = doorStreams({ dial: waits, secret })
      .open(docker)
      .catch((error: unknown) => error)
      .finally(() => {
        isOver = true
      })
    await vi.advanceTimersByTimeAsync(59_000)
    advance()
    await vi.advanceTimersByTimeAsync(59_000)
    expect(isOver).toBe(false)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await failure).toMatchObject({ code: 'STREAMS_LOST' })
  } finally {
    vi.useRealTimers()
  }
})
