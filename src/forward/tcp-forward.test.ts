import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { forwardTcpPort } from './tcp-forward.ts'
import { startTestGuest, type TestGuest } from './testing/guest.ts'

let guest: TestGuest
let onSocket: (socket: Socket) => void

beforeEach(async () => {
  onSocket = (socket) => socket.pipe(socket)
  guest = await startTestGuest((socket) => onSocket(socket))
})
afterEach(() => guest[Symbol.asyncDispose]())

function forward(more = {}) {
  return forwardTcpPort({ connection: guest.connection, remotePort: 80, ...more })
}

test('carries connections from a free port of the loopback device', async () => {
  await using forwarded = await forward()
  expect(forwarded.host).toBe('127.0.0.1')
  const client = connect({ port: forwarded.port, host: forwarded.host, allowHalfOpen: true })
  client.end('ping')
  expect(await text(client)).toBe('ping')
})

test('a port that nobody listens at resets the connection, as the port itself would', async () => {
  const openTcpStream = () => Promise.reject(new Error('connection refused'))
  await using forwarded = await forward({ connection: { ...guest.connection, openTcpStream } })
  const [error] = await once(connect(forwarded.port, forwarded.host), 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

test('a lost connection is not taken for the end of the answer', async () => {
  onSocket = (socket) => socket.write('half')
  await using forwarded = await forward()
  const client = connect(forwarded.port, forwarded.host)
  await once(client, 'data')
  guest.lose()
  const [error] = await once(client, 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

test('a port that is taken is an error with the port, and close frees it', async () => {
  const first = await forward()
  await expect(forward({ localPort: first.port })).rejects.toMatchObject({
    code: 'FORWARD_LISTEN_FAILED',
    message: expect.stringContaining(`127.0.0.1:${first.port}`),
  })
  await Promise.all([first.close(), first.close()])
  await using again = await forward({ localPort: first.port })
  expect(again.port).toBe(first.port)
})
