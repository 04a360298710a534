import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatAddress, resolveEngineAddress } from './address.ts'

let home: string
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'testkernels-address-'))
})
afterEach(() => rm(home, { recursive: true }))

const resolve = (environment: Record<string, string>) => resolveEngineAddress({ HOME: home, ...environment })

async function writeContext(name: string, endpoint: object, certificates: Record<string, string> = {}) {
  const digest = createHash('sha256').update(name).digest('hex')
  const meta = join(home, '.docker/contexts/meta', digest)
  await mkdir(meta, { recursive: true })
  await writeFile(join(meta, 'meta.json'), JSON.stringify({ Name: name, Endpoints: { docker: endpoint } }))
  const tls = join(home, '.docker/contexts/tls', digest, 'docker')
  if (Object.keys(certificates).length > 0) await mkdir(tls, { recursive: true })
  for (const [file, text] of Object.entries(certificates)) await writeFile(join(tls, file), text)
}

describe('DOCKER_HOST', () => {
  test.each([
    ['unix:///run/user/1000/docker.sock', { kind: 'unix', path: '/run/user/1000/docker.sock' }],
    ['unix://', { kind: 'unix', path: '/var/run/docker.sock' }],
    ['tcp://engine.example.org:2375', { kind: 'tcp', host: 'engine.example.org', port: 2375 }],
    ['tcp://engine.example.org', { kind: 'tcp', host: 'engine.example.org', port: 2375 }],
    ['tcp://engine.example.org:80/', { kind: 'tcp', host: 'engine.example.org', port: 80 }],
    ['http://engine.example.org:8080', { kind: 'tcp', host: 'engine.example.org', port: 8080 }],
    ['engine.example.org:2375', { kind: 'tcp', host: 'engine.example.org', port: 2375 }],
    ['tcp://[::1]:2375', { kind: 'tcp', host: '::1', port: 2375 }],
    ['ssh://lab', { kind: 'ssh', host: 'lab' }],
    [
      'ssh://me@lab:2222/run/user/1000/docker.sock',
      { kind: 'ssh', host: 'lab', user: 'me', port: 2222, path: '/run/user/1000/docker.sock' },
    ],
    ['ssh://[::1]', { kind: 'ssh', host: '::1' }],
    ['https://engine.example.org', { kind: 'tcp', host: 'engine.example.org', port: 2376, tls: { verify: 'verify' } }],
  ])('%s', async (DOCKER_HOST, address) => {
    expect(await resolve({ DOCKER_HOST })).toEqual({ address, source: 'DOCKER_HOST' })
  })

  test.each([
    ['/var/run/docker.sock', 'names no host'],
    ['tcp://engine.example.org:2375/prefix', 'has a path'],
    ['tcp://engine.example.org:port', 'malformed'],
    ['npipe:////./pipe/docker_engine', 'npipe://'],
    ['ssh://', 'malformed'],
    ['ssh://me:secret@engine.example.org', 'has a password'],
    ['ssh://-oProxyCommand=evil', 'cannot begin with -'],
    ['ssh://-oProxyCommand=evil@engine.example.org', 'cannot begin with -'],
    ['ssh://engine.example.org?ssh=1', 'has a query'],
  ])('%s is refused by name, with what helps', async (DOCKER_HOST, reason) => {
    await expect(resolve({ DOCKER_HOST })).rejects.toMatchObject({
      code: 'ENGINE_ADDRESS_INVALID',
      message: expect.stringContaining(reason),
      remedy: expect.stringMatching(/unix:\/\//),
    })
  })

  test('takes certificates from DOCKER_CERT_PATH when TLS is asked for', async () => {
    await writeFile(join(home, 'ca.pem'), 'the authority')
    await writeFile(join(home, 'key.pem'), 'the key')
    const given = { DOCKER_HOST: 'tcp://engine.example.org', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: home }
    expect((await resolve(given)).address).toEqual({
      kind: 'tcp',
      host: 'engine.example.org',
      port: 2376,
      tls: { verify: 'verify', ca: 'the authority', key: 'the key' },
    })
  })

  test('DOCKER_TLS alone does not verify the engine', async () => {
    const { address } = await resolve({ DOCKER_HOST: 'tcp://engine.example.org', DOCKER_TLS: '1' })
    expect(address).toMatchObject({ port: 2376, tls: { verify: 'skip' } })
  })

  test('goes before DOCKER_CONTEXT', async () => {
    const { source } = await resolve({ DOCKER_HOST: 'unix:///a.sock', DOCKER_CONTEXT: 'lab' })
    expect(source).toBe('DOCKER_HOST')
  })
})

describe('contexts', () => {
  test('DOCKER_CONTEXT names one', async () => {
    await writeContext('lab', { Host: 'unix:///lab.sock' })
    expect(await resolve({ DOCKER_CONTEXT: 'lab' })).toEqual({
      address: { kind: 'unix', path: '/lab.sock' },
      source: 'context "lab" (DOCKER_CONTEXT)',
    })
  })

  test('the current one of config.json is taken, with its certificates', async () => {
    await writeContext(
      'lab',
      { Host: 'tcp://lab.example.org:2376', SkipTLSVerify: true },
      { 'cert.pem': 'a certificate' },
    )
    await writeFile(join(home, '.docker/config.json'), JSON.stringify({ currentContext: 'lab' }))
    const { address, source } = await resolve({})
    expect(address).toEqual({
      kind: 'tcp',
      host: 'lab.example.org',
      port: 2376,
      tls: { verify: 'skip', cert: 'a certificate' },
    })
    expect(source).toContain('config.json')
  })

  test('DOCKER_CONTEXT=default goes before the current one of config.json', async () => {
    await writeContext('lab', { Host: 'unix:///lab.sock' })
    await writeFile(join(home, '.docker/config.json'), JSON.stringify({ currentContext: 'lab' }))
    expect((await resolve({ DOCKER_CONTEXT: 'default' })).source).toBe('default')
  })

  test('one that does not exist is named', async () => {
    await expect(resolve({ DOCKER_CONTEXT: 'gone' })).rejects.toMatchObject({
      code: 'ENGINE_ADDRESS_INVALID',
      message: expect.stringContaining('"gone" does not exist'),
    })
  })
})

test('a config.json that cannot be parsed is ignored', async () => {
  await mkdir(join(home, '.docker'))
  await writeFile(join(home, '.docker/config.json'), '{')
  expect((await resolve({})).source).toBe('default')
})

test('addresses are written as DOCKER_HOST has them', () => {
  expect(formatAddress({ kind: 'unix', path: '/a.sock' })).toBe('unix:///a.sock')
  expect(formatAddress({ kind: 'tcp', host: '::1', port: 2375 })).toBe('tcp://[::1]:2375')
})
