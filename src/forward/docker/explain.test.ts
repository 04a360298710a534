import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask, startTestGuest, type TestGuest } from '../testing/guest.ts'
import { forwardDocker } from './docker-forward.ts'

const eventDeadlineMs = 10_000
const panic = new Error('kernel panic on 6.12/cgroup v1: "sysrq"; console at /tmp/x')
const explained = { status: 500, type: 'application/json', body: `${JSON.stringify({ message: panic.message })}\n` }
const chunkedHead = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
let guest: TestGuest
let onSocket: (socket: Socket) => void

beforeEach(async () => {
  onSocket = () => {}
  guest = await startTestGuest((socket) => onSocket(socket))
})
afterEach(() => guest[Symbol.asyncDispose]())

function forward(more = {}) {
  const { streams, remotePath, directory } = guest
  return forwardDocker({ streams, remotePath, localPath: join(directory, 'docker.sock'), ...more })
}

/** A client whose request has reached the guest, and all that it has read so far. */
async function inFlight(path: string, request: string, response = '') {
  const arrived = new Promise<void>((resolve) => {
    onSocket = (socket) =>
      socket.once('data', () => {
        if (response !== '') socket.write(response)
        resolve()
      })
  })
  const client = connect(path)
  const read = { text: '' }
  client.on('data', (chunk: Buffer) => {
    read.text += chunk
  })
  client.write(request)
  await arrived
  if (response !== '') await expect.poll(() => read.text, { timeout: eventDeadlineMs }).toBe(response)
  return { read, closed: once(client, 'close', { signal: AbortSignal.timeout(eventDeadlineMs) }) }
}

test('new requests are answered with the reason, large bodies too', async () => {
  await using forwarded = await forward()
  forwarded.explain(panic)
  expect(await ask(forwarded.path)).toEqual(explained)
  expect(await ask(forwarded.path, { method: 'POST', body: 'x'.repeat(3_000_000) })).toEqual(explained)
})

test('a HEAD request is answered without a body', async () => {
  await using forwarded = await forward()
  forwarded.explain(panic)
  expect(await ask(forwarded.path, { method: 'HEAD' })).toEqual({ ...explained, body: '' })
})

test('a request in flight that has no answer yet is answered with the reason', async () => {
  await using forwarded = await forward()
  const arrived = new Promise<Socket>((resolve) => {
    onSocket = resolve
  })
  const answer = ask(forwarded.path, { method: 'POST', body: 'create' })
  const socket = await arrived
  const cut = once(socket.resume(), 'close', { signal: AbortSignal.timeout(eventDeadlineMs) })
  socket.once('end', () => socket.end())
  forwarded.explain(panic)
  expect(await answer).toEqual(explained)
  await cut
})

test('a request whose stream is not open yet is answered with the reason', async () => {
  const never = new Promise<never>(() => {})
  await using forwarded = await forward({ streams: { open: () => never } })
  const client = connect(forwarded.path)
  client.write('GET /info HTTP/1.1\r\n\r\n')
  await once(client, 'connect')
  forwarded.explain(panic)
  const [chunk] = await once(client, 'data', { signal: AbortSignal.timeout(eventDeadlineMs) })
  expect(String(chunk)).toContain(JSON.stringify(panic.message))
})

test.each([
  ['an answer that has begun', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'],
  ['a chunk that has begun', `${chunkedHead}9\r\n{`],
  ['a hijacked stream', 'HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nprompt> '],
])('%s ends without foreign bytes in it', async (_name, response) => {
  await using forwarded = await forward()
  const { read, closed } = await inFlight(forwarded.path, 'POST /containers/c0ffee/wait HTTP/1.1\r\n\r\n', response)
  forwarded.explain(panic)
  await closed
  expect(read.text).toBe(response)
})

test.each([
  [
    'waiting for a container',
    '/v1.41/containers/c0ffee/wait?condition=next-exit',
    '',
    { StatusCode: 125, Error: { Message: panic.message } },
  ],
  [
    'a progress',
    '/v1.41/images/load?quiet=0',
    '4\r\n{}\r\n\r\n',
    { error: panic.message, errorDetail: { message: panic.message } },
  ],
])('%s that has begun ends with the reason', async (_name, target, begun, end) => {
  await using forwarded = await forward()
  const { read, closed } = await inFlight(forwarded.path, `POST ${target} HTTP/1.1\r\n\r\n`, chunkedHead + begun)
  forwarded.explain(panic)
  await closed
  const [, size, body] =
    /^([0-9a-f]+)\r\n(.*\r\n)\r\n0\r\n\r\n$/.exec(read.text.slice(chunkedHead.length + begun.length)) ?? []
  expect(JSON.parse(body as string)).toEqual(end)
  expect(Number.parseInt(size as string, 16)).toBe(Buffer.byteLength(body as string))
})

const frame = (stream: number, said: string) =>
  `${String.fromCharCode(stream)}\0\0\0\0\0\0${String.fromCharCode(said.length)}${said}`
const framesOf = 'Content-Type: application/vnd.docker.multiplexed-stream'
const handedOver = `HTTP/1.1 101 UPGRADED\r\n${framesOf}\r\n\r\n`
const inChunks = `HTTP/1.1 200 OK\r\n${framesOf}\r\nTransfer-Encoding: chunked\r\n\r\n`

test.each([
  ['a command', 'POST /v1.47/exec/c0ffee/start', handedOver + frame(1, 'begun'), frame(3, panic.message)],
  ['logs', 'GET /v1.47/containers/c0ffee/logs?follow=1', inChunks, `42\r\n${frame(3, panic.message)}\r\n0\r\n\r\n`],
  ['a command in the middle of a frame', 'POST /exec/c0ffee/start', handedOver + frame(1, 'begun').slice(0, -1), ''],
  ['what is attached to', 'POST /containers/c0ffee/attach', handedOver, ''],
])(
  '%s of which the connection is lost ends with the reason as an error of the daemon, if it can',
  async (_name, request, begun, end) => {
    for (const lose of [() => {}, () => void guest.lose()]) {
      await using forwarded = await forward()
      const { read, closed } = await inFlight(forwarded.path, `${request} HTTP/1.1\r\n\r\n`, begun)
      lose()
      forwarded.explain(panic)
      await closed
      expect(read.text).toBe(begun + end)
    }
  },
)

test('the first reason stays', async () => {
  await using forwarded = await forward()
  forwarded.explain(panic)
  forwarded.explain(new Error('stopped'))
  expect(await ask(forwarded.path)).toEqual(explained)
})

test('a connection that breaks waits for the reason, and so do those that are made meanwhile', async () => {
  await using forwarded = await forward()
  const { read, closed } = await inFlight(forwarded.path, 'GET /info HTTP/1.1\r\n\r\n')
  guest.lose()
  const later = ask(forwarded.path)
  forwarded.explain(panic)
  await closed
  expect(read.text).toContain(JSON.stringify(panic.message))
  expect(await later).toEqual(explained)
})

test('where no reason comes, the loss is the reason', async () => {
  await using forwarded = await forward()
  const { read, closed } = await inFlight(forwarded.path, 'GET /info HTTP/1.1\r\n\r\n')
  const lost = guest.lose()
  const later = ask(forwarded.path)
  await closed
  expect(read.text).toMatch(/^HTTP\/1\.1 500 /)
  expect(read.text).toContain("the guest's dockerd ended the connection before its answer was complete")
  expect(JSON.parse((await later).body)).toEqual({ message: lost.message })
})

test.each([
  ['an answer in chunks', `${chunkedHead}4\r\n{}\r\n\r\n`, '0\r\n\r\n'],
  ['one whose length is not told', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', 'the body'],
])('%s may end with its connection', async (_name, begun, rest) => {
  await using forwarded = await forward()
  const { read, closed } = await inFlight(forwarded.path, 'GET /info HTTP/1.1\r\n\r\n', begun)
  for (const socket of guest.sockets) socket.end(rest)
  await closed
  expect(read.text).toBe(begun + rest)
})
