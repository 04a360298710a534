import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ServerCredentials } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { connectBuildkit, exporters, llb, type SolveStatus, secrets } from './index.ts'
import { Buildkitd } from './testing/buildkitd.ts'
import { type Authority, createAuthority } from './testing/certificates.ts'
import type { Endpoint } from './transport/endpoint.ts'
import { MESSAGE_MAX_BYTES } from './transport/transport.ts'

const platform = { os: 'linux', architecture: 'amd64' }

let buildkitd: Buildkitd
let directory: string
beforeEach(async () => {
  buildkitd = new Buildkitd()
  directory = await mkdtemp(join(tmpdir(), 'testkernels-buildkitd-'))
})
afterEach(async () => {
  await buildkitd[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

/** Makes sure that everything a solve needs goes over this endpoint: calls, statuses, and calls back. */
async function expectSolves(endpoint: Endpoint, transport: string): Promise<void> {
  await using buildkit = await connectBuildkit(endpoint)
  expect(buildkit.transport).toBe(transport)
  const heard: SolveStatus[] = []
  const definition = llb.scratch(platform).file(llb.mkfile('/x', '')).definition()
  const { exporterResponse } = await buildkit.solve({
    definition,
    exporter: exporters.moby({ names: ['x:1'] }),
    attachables: [secrets({ token: { value: 'sesame' } })],
    onStatus: (status) => heard.push(status),
  })
  expect(exporterResponse).toEqual({ name: 'x:1', health: '1', token: 'sesame' })
  expect(heard.flatMap(({ vertexes }) => vertexes)).toMatchObject([{ name: 'a step' }])
  expect(buildkitd.solves[0]?.definition?.def).toHaveLength(definition.vertexes.length + 1)
  expect(await buildkit.listWorkers()).toMatchObject([{ platforms: [{ os: 'linux', architecture: 'amd64' }] }])
}

test('a buildkitd is reached over a unix socket', async () => {
  const socketPath = join(directory, 'buildkitd.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  await expectSolves({ kind: 'buildkitd', socketPath }, 'plain')
})

test('an answer that is larger than any of BuildKit is not taken', async () => {
  await using boundless = new Buildkitd({ workerId: 'x'.repeat(MESSAGE_MAX_BYTES) })
  const socketPath = join(directory, 'boundless.sock')
  await boundless.listen(`unix:${socketPath}`)
  await expect(connectBuildkit({ kind: 'buildkitd', socketPath })).rejects.toThrow('larger than max')
})

test('a buildkitd is reached over TCP in the clear', async () => {
  const port = await buildkitd.listen('127.0.0.1:0')
  await expectSolves({ kind: 'buildkitd', host: '127.0.0.1', port }, 'plain')
})

test('a buildkitd is reached through connections that somebody else makes', async () => {
  const socketPath = join(directory, 'inside.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  const dial = async () => connect(socketPath)
  await expectSolves({ kind: 'buildkitd', name: 'docker-container://builder', dial }, 'plain')
})

test('connections that cannot be made are told by the name of what they lead to', async () => {
  const dial = () => Promise.reject(new Error('no such container'))
  await expect(connectBuildkit({ kind: 'buildkitd', name: 'docker-container://absent', dial })).rejects.toMatchObject({
    code: 'BUILDKIT_UNREACHABLE',
    message: expect.stringMatching(/docker-container:\/\/absent[\s\S]*no such container/),
  })
})

test('all that a solve asks for is on the wire', async () => {
  const socketPath = join(directory, 'buildkitd.sock')
  await buildkitd.listen(`unix:${socketPath}`)
  await using buildkit = await connectBuildkit({ kind: 'buildkitd', socketPath })
  await buildkit.solve({
    frontend: 'dockerfile.v0',
    frontendAttrs: { filename: 'Dockerfile' },
    frontendInputs: { context: llb.scratch(platform).file(llb.mkfile('/x', '')).definition() },
    exporter: exporters.image({ names: ['a/b:1', 'a/b:2'], push: 'yes' }),
    cacheImports: [{ type: 'registry', attrs: { ref: 'a/cache' } }],
    cacheExports: [{ type: 'inline' }],
    entitlements: ['network.host'],
    attachables: [secrets({ token: { value: '' } })],
  })
  expect(buildkitd.solves[0]).toMatchObject({
    frontend: 'dockerfile.v0',
    frontendAttrs: { filename: 'Dockerfile' },
    frontendInputs: { context: { def: [expect.anything(), expect.anything()] } },
    exporter: 'image',
    exporterAttrs: { name: 'a/b:1,a/b:2', push: 'true' },
    cache: { imports: [{ type: 'registry', attrs: { ref: 'a/cache' } }], exports: [{ type: 'inline' }] },
    entitlements: ['network.host'],
  })
})

test('an engine that refuses the upgrade is spoken to in plain HTTP/2', async () => {
  const socketPath = join(directory, 'docker.sock')
  await buildkitd.listenLikeEngine(socketPath)
  await expectSolves({ kind: 'docker', socketPath }, 'plain')
})

test('an engine without BuildKit is told apart, with what to do', async () => {
  const http = createServer((_request, response) => response.writeHead(404).end()).listen(
    join(directory, 'docker.sock'),
  )
  await once(http, 'listening')
  const connecting = connectBuildkit({ kind: 'docker', socketPath: join(directory, 'docker.sock') })
  await expect(connecting).rejects.toMatchObject({
    code: 'BUILDKIT_UNREACHABLE',
    remedy: expect.stringContaining('20.10'),
  })
  http.close()
})

test('an abort ends an attempt to connect to a server that never answers', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const controller = new AbortController()
  const connecting = connectBuildkit({ kind: 'docker', host: '127.0.0.1', port }, { signal: controller.signal })
  silent.once('request', () => controller.abort(new Error('stopped by the user')))
  await expect(connecting).rejects.toThrow('stopped by the user')
  silent.closeAllConnections()
  silent.close()
})

describe('with mutual TLS', () => {
  let authority: Authority
  let port: number
  beforeEach(async () => {
    authority = createAuthority('an authority')
    const server = authority.issue('buildkitd', ['localhost', 'buildkitd.example'])
    const keys = { cert_chain: Buffer.from(server.cert), private_key: Buffer.from(server.key) }
    port = await buildkitd.listen('127.0.0.1:0', ServerCredentials.createSsl(Buffer.from(authority.cert), [keys], true))
  })

  const at = (host: string, tls: object): Endpoint => ({ kind: 'buildkitd', host, port, tls })

  test('a client with a certificate is let in', async () => {
    await expectSolves(at('localhost', { ca: authority.cert, ...authority.issue('me') }), 'tls')
  })

  test('the server may be known by another name', async () => {
    const tls = { ca: authority.cert, ...authority.issue('me'), serverName: 'buildkitd.example' }
    await expectSolves(at('127.0.0.1', tls), 'tls')
  })

  test('an engine is upgraded inside TLS', async () => {
    const server = authority.issue('engine', ['localhost'])
    const enginePort = await buildkitd.listenLikeTlsEngine({ ...server, ca: authority.cert, requestCert: true })
    const tls = { ca: authority.cert, ...authority.issue('me') }
    await expectSolves({ kind: 'docker', host: 'localhost', port: enginePort, tls }, 'upgrade')
  })

  test('a client without a certificate is not', async () => {
    await expect(connectBuildkit(at('localhost', { ca: authority.cert }))).rejects.toMatchObject({
      code: 'BUILDKIT_UNREACHABLE',
      remedy: expect.stringContaining('certificates'),
    })
  })

  test('a client with a certificate of another authority is not', async () => {
    const tls = { ca: authority.cert, ...createAuthority('another').issue('me') }
    await expect(connectBuildkit(at('localhost', tls))).rejects.toMatchObject({ code: 'BUILDKIT_UNREACHABLE' })
  })

  test('a server of another authority, or under another name, is not believed', async () => {
    const me = authority.issue('me')
    for (const tls of [
      { ca: createAuthority('another').cert, ...me },
      { ca: authority.cert, ...me, serverName: 'other.example' },
    ])
      await expect(connectBuildkit(at('localhost', tls))).rejects.toMatchObject({ code: 'BUILDKIT_UNREACHABLE' })
    expect(buildkitd.solves).toEqual([])
  })
})
