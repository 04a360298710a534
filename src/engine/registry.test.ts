import { expect, test } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { connectEngine } from './connect.ts'
import { splitRef } from './images.ts'
import { pullImage, registryOf } from './registry.ts'

const connecting = answerJson({
  '/info': goodInfo,
  '/images/a.example.org/b:c/json': { Id: 'sha256:1' },
})

test('shows the registry the credentials for its host and gives the id', async () => {
  let shown: unknown
  await using fake = await startFakeEngine((request, response) => {
    if (!request.url?.startsWith('/images/create')) return connecting(request, response)
    shown = JSON.parse(Buffer.from(String(request.headers['x-registry-auth']), 'base64url').toString())
    response.end('{"status":"Pulling from b","id":"c"}\r\n{"status":"Status: Downloaded newer image"}\r\n')
  })
  const engine = await connectEngine({ address: fake.address })
  const credentials = async (registry: string) => ({ username: 'me', secret: `of ${registry}` })
  expect(await pullImage(engine, 'a.example.org/b:c', { credentials })).toBe('sha256:1')
  expect(shown).toEqual({ username: 'me', password: 'of a.example.org' })
})

test('a failure that comes after the first good news is a failure', async () => {
  await using fake = await startFakeEngine((request, response) => {
    if (!request.url?.startsWith('/images/create')) return connecting(request, response)
    response.end('{"status":"Pulling fs layer","id":"1"}\n{"error":"no space left on device","errorDetail":{}}\n')
  })
  const engine = await connectEngine({ address: fake.address })
  await expect(pullImage(engine, 'a.example.org/b:c')).rejects.toMatchObject({
    code: 'IMAGE_PULL_FAILED',
    message: expect.stringContaining('no space left on device'),
  })
})

test.each(['before', 'after'])('gives up an engine that falls silent %s its first answer', async (when) => {
  await using fake = await startFakeEngine((request, response) => {
    if (!request.url?.startsWith('/images/create')) return connecting(request, response)
    if (when === 'after') response.write('{"status":"Pulling fs layer","id":"1"}\n')
  })
  const engine = await connectEngine({ address: fake.address })
  await expect(pullImage(engine, 'a.example.org/b:c', { stallTimeoutMs: 30 })).rejects.toMatchObject({
    code: 'IMAGE_PULL_FAILED',
    message: expect.stringContaining('no news from the registry for 0.03 s'),
  })
})

test.each([
  ['debian:trixie-slim', 'docker.io'],
  ['library/debian', 'docker.io'],
  ['registry.example.org/a/b:c', 'registry.example.org'],
  ['registry.example.org:5000/a', 'registry.example.org:5000'],
  ['localhost/a', 'localhost'],
])('%s comes from %s', (ref, registry) => {
  expect(registryOf(ref)).toBe(registry)
})

test.each([
  ['a', 'a', 'latest'],
  ['a:b', 'a', 'b'],
  ['registry.example.org:5000/a', 'registry.example.org:5000/a', 'latest'],
  ['registry.example.org:5000/a:b', 'registry.example.org:5000/a', 'b'],
])('%s is %s with tag %s', (ref, repository, tag) => {
  expect(splitRef(ref)).toEqual({ repository, tag })
})
