import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerJson, goodInfo } from '../../fixtures/engine/fake-engine.ts'
import { createAuthority } from '../buildkit/testing/certificates.ts'
import type { EngineAddress, EngineTls } from './address.ts'
import { createClient } from './client.ts'
import { requestJson } from './request.ts'

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
