import { createServer } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { connectEngine } from './connect.ts'

afterEach(() => vi.unstubAllEnvs())

test('tells what the engine is', async () => {
  await using fake = await startFakeEngine(answerJson({ '/info': goodInfo }))
  expect(await connectEngine({ address: fake.address })).toMatchObject({
    version: '20.10.24',
    apiVersion: '1.41',
    arch: { name: 'amd64' },
    cgroupVersion: 2,
    cpuCount: 4,
    memoryMib: 2048,
    rootless: false,
    locality: 'remote',
  })
})

test('tells how the engine reaches registries, but for what every engine says', async () => {
  const secure = { Mirrors: [], Secure: true }
  const RegistryConfig = {
    Mirrors: ['https://mirror.example.org/'],
    InsecureRegistryCIDRs: ['127.0.0.0/8', '::1/128', '10.0.0.0/8'],
    IndexConfigs: { 'docker.io': secure, 'registry.example.org:5000': { ...secure, Secure: false } },
  }
  const info = { ...goodInfo, RegistryConfig, HttpProxy: 'http://proxy.example.org:3128', HttpsProxy: '' }
  await using fake = await startFakeEngine(answerJson({ '/info': info }))
  expect((await connectEngine({ address: fake.address })).registries).toEqual({
    mirrors: ['https://mirror.example.org/'],
    insecure: ['registry.example.org:5000', '10.0.0.0/8'],
    proxies: { http: 'http://proxy.example.org:3128' },
  })
  await using silent = await startFakeEngine(answerJson({ '/info': goodInfo }))
  expect((await connectEngine({ address: silent.address })).registries).toEqual({
    mirrors: [],
    insecure: [],
    proxies: {},
  })
})

test('talks to the given address whatever DOCKER_HOST says', async () => {
  vi.stubEnv('DOCKER_HOST', 'tcp://127.0.0.1:1')
  await using fake = await startFakeEngine(answerJson({ '/info': goodInfo }))
  await connectEngine({ address: fake.address })
  expect(fake.requests).toEqual(['GET /info'])
})

test('an engine with a later API will do', async () => {
  await using fake = await startFakeEngine(answerJson({ '/info': goodInfo }, { apiVersion: '1.100' }))
  expect((await connectEngine({ address: fake.address })).apiVersion).toBe('1.100')
})

test('refuses an engine that is too old, and says which would do', async () => {
  const info = { ...goodInfo, ServerVersion: '19.03.15' }
  await using fake = await startFakeEngine(answerJson({ '/info': info }, { apiVersion: '1.40' }))
  await expect(connectEngine({ address: fake.address })).rejects.toMatchObject({
    code: 'ENGINE_TOO_OLD',
    message: expect.stringMatching(/version 19\.03\.15 with API 1\.40; 20\.10/),
  })
})

test.each([{ Architecture: 'aarch64' }, { OSType: 'windows' }])(
  'refuses an engine of another platform: %o',
  async (platform) => {
    await using fake = await startFakeEngine(answerJson({ '/info': { ...goodInfo, ...platform } }))
    await expect(connectEngine({ address: fake.address })).rejects.toMatchObject({ code: 'ENGINE_UNSUPPORTED' })
  },
)

test('a socket that is missing: says where it looked and why there', async () => {
  const address = { kind: 'unix', path: '/nonexistent/docker.sock' } as const
  await expect(connectEngine({ address, source: 'DOCKER_HOST' })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('unix:///nonexistent/docker.sock (from DOCKER_HOST)'),
    remedy: expect.stringContaining('apt-get install docker.io'),
  })
})

test('a port where nobody listens', async () => {
  const address = { kind: 'tcp', host: '127.0.0.1', port: await freePort() } as const
  await expect(connectEngine({ address })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('ECONNREFUSED'),
    remedy: expect.stringContaining('TLS'),
  })
})

test('a server that is no engine', async () => {
  await using fake = await startFakeEngine(answerJson({}))
  await expect(connectEngine({ address: fake.address })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('is not a Docker engine'),
  })
})

test('a server that answers anything, and says no API version', async () => {
  await using fake = await startFakeEngine((_, response) => response.end('{}'))
  await expect(connectEngine({ address: fake.address })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('does not answer as an engine does'),
  })
})

test('an engine that says nothing is given up after the deadline', async () => {
  await using fake = await startFakeEngine(() => {})
  await expect(connectEngine({ address: fake.address, connectTimeoutMs: 20 })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('did not answer within 0.02 s'),
  })
})

test('an abort passes through with its reason', async () => {
  const controller = new AbortController()
  await using fake = await startFakeEngine(() => controller.abort(new Error('stopped by the user')))
  await expect(connectEngine({ address: fake.address, signal: controller.signal })).rejects.toThrow(
    'stopped by the user',
  )
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
