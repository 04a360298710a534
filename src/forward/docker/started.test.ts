import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Publisher } from '../../host/index.ts'
import { startTestGuest, type TestGuest } from '../testing/guest.ts'
import { forwardDocker } from './docker-forward.ts'

const noContent = 'HTTP/1.1 204 No Content\r\n\r\n'
let guest: TestGuest
/** What a test does with the connection of a request that the guest has read. */
let answer: (socket: Socket, head: string) => void

beforeEach(async () => {
  answer = (socket) => socket.end(noContent)
  guest = await startTestGuest((socket) => socket.on('data', (piece: Buffer) => answer(socket, String(piece))))
})
afterEach(() => guest[Symbol.asyncDispose]())

function forward(beforeStarted: (publisher: Publisher) => Promise<void> | undefined) {
  const { streams, remotePath, directory } = guest
  return forwardDocker({ streams, remotePath, localPath: join(directory, 'docker.sock'), beforeStarted })
}

async function ask(path: string, request: string): Promise<Socket> {
  const socket = connect(path)
  await once(socket, 'connect')
  socket.write(`${request} HTTP/1.1\r\nHost: docker\r\n\r\n`)
  return socket
}

function deferred<T = undefined>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((fulfil) => (resolve = fulfil))
  return { promise, resolve }
}

const serviceMade = 'HTTP/1.1 201 Created\r\nContent-Length: 23\r\n\r\n{"ID":"ak7w3gjqoa3kuz8x"}'

test.each([
  ['POST /containers/web/start', 'container', 'web', noContent],
  ['POST /v1.43/containers/we%2Db/start?checkpoint=x', 'container', 'we-b', noContent],
  ['POST /v1.43/containers/c0ffee/restart?t=5', 'container', 'c0ffee', noContent],
  ['POST /containers/%zz/start', 'container', '%zz', noContent],
  ['POST /v1.41/services/create', 'service', 'ak7w3gjqoa3kuz8x', serviceMade],
  ['POST /services/web/update?version=7', 'service', 'web', noContent],
] as const)('the answer to %s waits for what must be done before', async (request, kind, id, said) => {
  answer = (socket) => socket.end(said)
  const done = deferred()
  const asked = deferred<Publisher>()
  await using forwarded = await forward((publisher) => {
    asked.resolve(publisher)
    return done.promise
  })
  const client = await ask(forwarded.path, request)
  const heard: string[] = []
  client.on('data', (piece) => heard.push(String(piece)))
  expect(await asked.promise).toEqual({ kind, id })
  expect(heard).toEqual([])
  done.resolve(undefined)
  await once(client, 'end')
  expect(heard.join('')).toBe(said)
})

test.each([
  'GET /containers/web/json',
  'POST /containers/web/stop',
  'GET /containers/web/start',
  'POST /images/x/start',
  // One that was not made has no id.
  'POST /services/create',
  'GET /services/web',
])('the answer to %s waits for nothing', async (request) => {
  await using forwarded = await forward(() => {
    throw new Error('not asked for')
  })
  expect(await text(await ask(forwarded.path, request))).toBe(noContent)
})

test('where it fails, the client reads why', async () => {
  await using forwarded = await forward(() => Promise.reject(new Error('port 80 is taken')))
  const client = await ask(forwarded.path, 'POST /containers/web/start')
  expect(await text(client)).toMatch(/^HTTP\/1\.1 500 [\s\S]*\{"message":"port 80 is taken"\}\n$/)
})

test('what throws at once is no more than that', async () => {
  await using forwarded = await forward(() => {
    throw new Error('port 80 is taken')
  })
  expect(await text(await ask(forwarded.path, 'POST /containers/web/start'))).toContain('port 80 is taken')
})

test('one connection carries a start and what comes before and after it', async () => {
  answer = (socket, head) =>
    socket.write(head.includes('/start') ? noContent : 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK')
  let started = 0
  await using forwarded = await forward(async () => void started++)
  const client = await ask(forwarded.path, 'GET /_ping')
  const next = async (request: string) => {
    client.write(`${request} HTTP/1.1\r\nHost: docker\r\n\r\n`)
    return String((await once(client, 'data'))[0])
  }
  expect(String((await once(client, 'data'))[0])).toMatch(/OK$/)
  expect(await next('POST /containers/web/start')).toBe(noContent)
  expect(await next('GET /_ping')).toMatch(/OK$/)
  expect(started).toBe(1)
  client.destroy()
})

test('a client that goes while its start is held takes its connection along', async () => {
  const asked = deferred()
  await using forwarded = await forward(() => {
    asked.resolve(undefined)
    return new Promise(() => {})
  })
  const client = await ask(forwarded.path, 'POST /containers/web/start')
  await asked.promise
  client.destroy()
  await expect.poll(() => guest.sockets.size).toBe(0)
})
