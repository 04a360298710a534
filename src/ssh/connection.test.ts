import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import type { Client } from 'ssh2'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ChannelOpener } from './channels.ts'
import type { SshConnection } from './connection.ts'
import { connectToTestServer, startTestServer, type TestServer } from './testing/server.ts'

const eventDeadlineMs = 10_000
/** More than the 2 MiB that ssh2 buffers: from then on it owes the server room for data. */
const overfullBytes = 2.5 * 1024 * 1024
let server: TestServer
let connection: SshConnection

beforeEach(async () => {
  server = await startTestServer()
  connection = await connectToTestServer(server, AbortSignal.timeout(eventDeadlineMs))
})

afterEach(async () => {
  await connection.close()
  await server[Symbol.asyncDispose]()
})

test('runs a program with exactly its arguments and gives both outputs', async () => {
  const result = await connection.exec([
    'sh',
    '-c',
    'printf "%s|" "$@"; echo oops >&2; exit 3',
    'sh',
    "it's",
    '$HOME',
    '',
  ])
  expect(result).toEqual({ exitCode: 3, stdout: "it's|$HOME||", stderr: 'oops\n' })
})

test('names the signal that ended a program', async () => {
  expect(await connection.exec(['sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: 137, signal: 'SIGKILL' })
})

test.each([
  ['a string', 'héllo', 'héllo'],
  ['bytes', Buffer.from('bytes'), 'bytes'],
  ['a stream', Readable.from(['a', 'b']), 'ab'],
  ['nothing', undefined, ''],
])('a program reads %s', async (_name, stdin, expected) => {
  expect((await connection.exec(['cat'], { stdin })).stdout).toBe(expected)
})

test('a program may end before it has read its input', async () => {
  const result = await connection.exec(['head', '-c', '5'], { stdin: Buffer.alloc(8_000_000, 'x') })
  expect(result).toMatchObject({ exitCode: 0, stdout: 'xxxxx' })
})

test('an input that fails ends the program and is the reason', async () => {
  const stdin = new Readable({ read: () => stdin.destroy(new Error('the disk is gone')) })
  await expect(connection.exec(['cat'], { stdin })).rejects.toThrow('the disk is gone')
})

test('an abort kills the program, also when its input has ended', async () => {
  const stop = new AbortController()
  const program = await connection.spawn(['sh', '-c', 'echo up; exec sleep 1000'], { signal: stop.signal })
  program.stdin.end()
  await once(program.stdout, 'data')
  stop.abort(new Error('stopped by the user'))
  await expect(program.exit).rejects.toThrow('stopped by the user')
  await channelsToBe(0)
  expect(server.messages).toContain('Inbound: CHANNEL_REQUEST (r:0, signal: KILL)')
})

test('a program that starts after its abort is killed', async () => {
  const stop = new AbortController()
  const running = connection.exec(['sleep', '1000'], { signal: stop.signal })
  stop.abort(new Error('stopped by the user'))
  await expect(running).rejects.toThrow('stopped by the user')
  await expect
    .poll(() => server.messages, { timeout: eventDeadlineMs })
    .toContain('Inbound: CHANNEL_REQUEST (r:0, signal: KILL)')
  await channelsToBe(0)
})

test('a program that writes without end is killed, and nothing of it is kept', async () => {
  const running = connection.exec(['sh', '-c', 'while :; do head -c 1000000 /dev/zero; done'])
  await expect(running).rejects.toMatchObject({
    code: 'SSH_OUTPUT_TOO_LONG',
    message: expect.stringContaining('sh wrote more than 64 MiB'),
  })
  await channelsToBe(0)
  expect(server.messages).toContain('Inbound: CHANNEL_REQUEST (r:0, signal: KILL)')
}, 60_000)

test('a stream to a unix socket half-closes', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-'))
  const path = join(directory, 's')
  await using _echo = await listening({ path }, answerAtEnd)
  const stream = await connection.openUnixStream(path)
  stream.end(Buffer.alloc(5_000_000, 'x'))
  expect((await buffer(stream)).length).toBe(5_000_000)
  await channelsToBe(0)
  await rm(directory, { recursive: true })
})

test('a stream to a port carries both directions', async () => {
  await using echo = await listening({ host: '127.0.0.1', port: 0 }, answerAtEnd)
  const stream = await connection.openTcpStream('127.0.0.1', (echo.server.address() as AddressInfo).port)
  stream.end('ping')
  expect(await text(stream)).toBe('ping')
})

test('a socket that nobody listens at is named', async () => {
  await expect(connection.openUnixStream('/nowhere.sock')).rejects.toMatchObject({
    code: 'SSH_CHANNEL_REFUSED',
    message: expect.stringContaining('/nowhere.sock'),
  })
})

test('a destroyed stream leaves no channel', async () => {
  await using quiet = await listening({ host: '127.0.0.1', port: 0 }, () => {})
  const stream = await connection.openTcpStream('127.0.0.1', (quiet.server.address() as AddressInfo).port)
  await channelsToBe(1)
  stream.destroy()
  await channelsToBe(0)
})

test('nothing is said of a channel after its close, which Dropbear would not forgive', async () => {
  await using flood = await listening({ host: '127.0.0.1', port: 0 }, (socket) => socket.end(Buffer.alloc(8_000_000)))
  const stream = await connection.openTcpStream('127.0.0.1', (flood.server.address() as AddressInfo).port)
  await once(stream, 'readable')
  await expect.poll(bytesSentByServer, { timeout: eventDeadlineMs }).toBeGreaterThan(overfullBytes)
  await connection.exec(['true'])
  stream.destroy()
  await channelsToBe(0)
  await connection.exec(['true'])
  const ofTheStream = server.messages.filter((message) => /^Inbound: CHANNEL_.*\(r:0\b/.test(message))
  expect(ofTheStream.at(-1)).toBe('Inbound: CHANNEL_CLOSE (r:0)')
})

test('a lost connection is an error of every stream and not their end', async () => {
  await using quiet = await listening({ host: '127.0.0.1', port: 0 }, () => {})
  const stream = await connection.openTcpStream('127.0.0.1', (quiet.server.address() as AddressInfo).port)
  const running = connection.exec(['sleep', '1000'])
  await channelsToBe(2)
  const failed = once(stream, 'error', { signal: AbortSignal.timeout(eventDeadlineMs) })
  server.cut()
  expect((await failed)[0]).toBe(connection.ended.reason)
  await expect(running).rejects.toBe(connection.ended.reason)
})

function answerAtEnd(socket: Socket): void {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.once('end', () => socket.end(Buffer.concat(chunks)))
}

function bytesSentByServer(): number {
  const sizes = server.messages.map((message) => /Sending CHANNEL_DATA \(r:0, (\d+)\)/.exec(message)?.[1] ?? '0')
  return sizes.reduce((sum, size) => sum + Number(size), 0)
}

/** Channels as the server counts them: those that it let be opened, and that are not closed from both sides. */
async function channelsToBe(count: number): Promise<void> {
  const seen = (pattern: RegExp) => server.messages.filter((message) => pattern.test(message)).length
  const open = () => seen(/^Outbound: Sending CHANNEL_OPEN_CONFIRMATION/) - seen(/^Inbound: CHANNEL_CLOSE/)
  await expect.poll(open, { timeout: eventDeadlineMs }).toBe(count)
}

async function listening(
  where: { path: string } | { host: string; port: number },
  onSocket: (socket: Socket) => void,
): Promise<AsyncDisposable & { server: Server }> {
  const sockets = new Set<Socket>()
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  listener.listen(where)
  await once(listener, 'listening')
  return {
    server: listener,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
}

test('a connection that breaks in the turn in which it opens a channel ends nothing but itself', async () => {
  const channel = Object.assign(new PassThrough(), { outgoing: { id: 0, state: 'open' }, close: () => {} })
  const client = {
    openssh_forwardOutStreamLocal: (_path: string, answer: (error: undefined, opened: PassThrough) => void) => {
      answer(undefined, channel)
      opener.abandonAll(new Error('garbage came'))
    },
  } as unknown as Client
  const opener = new ChannelOpener({ client, ended: new AbortController().signal, server: 'a hostile guest' })
  const stream = await opener.openUnix('/run/x.sock')
  expect(stream.errored).toMatchObject({ message: 'garbage came' })
})
