import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { createAuthority } from '../buildkit/testing/certificates.ts'
import type { EngineAddress, EngineTls } from './address.ts'
import { createClient, dialEngine } from './client.ts'
import { requestJson, requestStream } from './request.ts'

const authority = createAuthority('the authority')
const client = authority.issue('client')
const server = createServer(
  { ...authority.issue('engine', ['localhost']), ca: authority.cert, requestCert: true, rejectUnauthorized: true },
  answerJson({ '/info': goodInfo }),
)

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => void server.close())

const at = (tls: EngineTls, host = 'localhost'): EngineAddress => ({
  kind: 'tcp',
  host,
  port: (server.address() as AddressInfo).port,
  tls,
})

/** Our own questions and dockerode's. */
const clients = {
  'our questions': (address: EngineAddress) => requestJson(address, { path: '/info' }),
  dockerode: (address: EngineAddress) => createClient(address).info(),
}

describe.each(Object.entries(clients))('%s', (_, ask) => {
  test('go over TLS in both directions', async () => {
    const address = at({ verify: 'verify', ca: authority.cert, ...client })
    expect(await ask(address)).toMatchObject({ ServerVersion: '20.10.24' })
  })

  test('do not go to an engine that cannot prove who it is', async () => {
    await expect(ask(at({ verify: 'verify', ...client }))).rejects.toThrow(/certificate/)
    const other = at({ verify: 'verify', ca: authority.cert, ...client }, '127.0.0.1')
    await expect(ask(other)).rejects.toThrow(/IP: 127\.0\.0\.1/)
  })

  test('go to one that need not', async () => {
    expect(await ask(at({ verify: 'skip', ...client }))).toMatchObject({ ServerVersion: '20.10.24' })
  })
})

describe('connections', () => {
  test("to another machine are used again, by dockerode's questions as by ours, and closed when nobody has any", async () => {
    const plain = createHttpServer(answerJson({ '/info': goodInfo })).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    const connections = countConnections(plain)
    const address = { kind: 'tcp', host: '127.0.0.1', port: (plain.address() as AddressInfo).port } as const
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      for (const ask of Object.values(clients)) await ask(address)
      expect(connections).toMatchObject({ made: 1, open: 1 })
      vi.runAllTimers()
      vi.useRealTimers()
      await expect.poll(() => connections.open).toBe(0)
      await requestJson(address, { path: '/info' })
      expect(connections.made).toBe(2)
    } finally {
      vi.useRealTimers()
      plain.closeAllConnections()
      plain.close()
    }
  })

  test('to another machine are asked by the system whether it is there', async () => {
    const connection = dialEngine(at({ verify: 'verify', ca: authority.cert, ...client })) as Socket
    try {
      await once(connection, 'secureConnect')
      await expect.poll(() => keepAliveTimerS(connection.localPort ?? 0), { timeout: 30_000 }).toBeLessThanOrEqual(35)
    } finally {
      connection.destroy()
    }
  })

  test('that are closed when they are used again fail nothing that only asks', async () => {
    const asked = new Map<unknown, number>()
    const closing = createHttpServer((request, response) => {
      const before = asked.get(request.socket) ?? 0
      asked.set(request.socket, before + 1)
      if (before > 0) request.socket.destroy()
      else answerJson({ '/info': goodInfo })(request, response)
    }).listen(0, '127.0.0.1')
    await once(closing, 'listening')
    const address = { kind: 'tcp', host: '127.0.0.1', port: (closing.address() as AddressInfo).port } as const
    try {
      for (let question = 0; question < 3; question++)
        expect(await requestJson(address, { path: '/info' })).toMatchObject({ ServerVersion: '20.10.24' })
      expect([...asked.values()]).toEqual([2, 2, 1])
      await expect(requestJson(address, { path: '/info', method: 'POST' })).rejects.toMatchObject({
        code: 'ECONNRESET',
      })
    } finally {
      closing.closeAllConnections()
      closing.close()
    }
  })

  test('to this machine are made for each question', async () => {
    const sockets = new Set<unknown>()
    await using fake = await startFakeEngine((request, response) => {
      sockets.add(request.socket)
      answerJson({ '/info': goodInfo })(request, response)
    })
    for (const ask of Object.values(clients)) await ask(fake.address)
    expect(sockets.size).toBe(2)
  })
})

describe('an engine that stops in the middle of an answer', () => {
  /** A head, a piece, and silence. */
  const stopping = () =>
    startFakeEngine((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.write('{')
    })

  afterEach(() => void vi.useRealTimers())

  test('is given up', async () => {
    await using fake = await stopping()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const begun = await requestStream(fake.address, { path: '/info' })
    const answer = expect(text(begun)).rejects.toMatchObject({ code: 'ENGINE_SILENT' })
    await vi.advanceTimersByTimeAsync(60_000)
    await answer
  })

  test('has nothing to tell, where it is asked for what comes to pass', async () => {
    await using fake = await stopping()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const events = await requestStream(fake.address, { path: '/events' })
    expect(vi.getTimerCount()).toBe(0)
    events.destroy()
  })
})

function countConnections(of: NodeJS.EventEmitter): { made: number; open: number } {
  const connections = { made: 0, open: 0 }
  of.on('connection', (socket: NodeJS.EventEmitter) => {
    connections.made++
    connections.open++
    socket.once('close', () => connections.open--)
  })
  return connections
}

/** Until the system asks the other end of a connection whether it is there, in seconds; undefined while it does not mean to (proc(5)). */
function keepAliveTimerS(localPort: number): number | undefined {
  const local = localPort.toString(16).toUpperCase().padStart(4, '0')
  const row = new RegExp(`^ *\\d+: [0-9A-F]{8}:${local} .* 02:([0-9A-F]{8}) `, 'm')
  const ticks = row.exec(readFileSync('/proc/self/net/tcp', 'utf8'))?.[1]
  return ticks === undefined ? undefined : Number.parseInt(ticks, 16) / 100
}
