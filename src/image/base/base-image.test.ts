import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../../fixtures/engine/fake-engine.ts'
import { connectEngine } from '../../engine/index.ts'
import { dockerHost } from '../../host/index.ts'
import { readSettings } from '../../options/index.ts'
import { ensureBaseImage } from './base-image.ts'
import { parseMirror } from './debian-mirror.ts'

const mirror = parseMirror('http://mirror.example.org/debian')
const madeFrom = (url: string) => ({
  Id: 'sha256:own',
  Config: { Labels: { 'testkernels.mirror': createHash('sha256').update(url).digest('hex').slice(0, 16) } },
})

async function ensureWith(images: Record<string, unknown>) {
  await using fake = await startFakeEngine(answerJson({ '/info': goodInfo, ...images }))
  const host = dockerHost(await connectEngine({ address: fake.address }), readSettings({}))
  const signal = AbortSignal.timeout(10_000)
  return { image: await ensureBaseImage({ host, suite: 'trixie', mirror, signal }), requests: fake.requests }
}

test('the official image is taken from the store', async () => {
  const { image, requests } = await ensureWith({
    '/images/debian:trixie-slim/json': { Id: 'sha256:official' },
    '/images/testkernels/base:trixie/json': madeFrom(mirror.url),
  })
  expect(image).toEqual({ ref: 'debian:trixie-slim', id: 'sha256:official', origin: 'engine' })
  expect(requests.filter((request) => request.startsWith('POST'))).toEqual([])
})

test('one that was made earlier is used again, without a try to pull', async () => {
  const { image, requests } = await ensureWith({ '/images/testkernels/base:trixie/json': madeFrom(mirror.url) })
  expect(image).toEqual({ ref: 'testkernels/base:trixie', id: 'sha256:own', origin: 'bootstrapped' })
  expect(requests.filter((request) => request.startsWith('POST'))).toEqual([])
})

test('one that was made from another archive is not used, because its apt asks that one', async () => {
  await using fake = await startFakeEngine((request, response) => {
    if (request.url?.startsWith('/images/create')) pulled = true
    const bodies = {
      '/info': goodInfo,
      '/images/testkernels/base:trixie/json': madeFrom('http://other.example.org'),
    }
    const now = pulled
      ? { ...bodies, '/images/create': {}, '/images/debian:trixie-slim/json': { Id: 'sha256:official' } }
      : bodies
    answerJson(now)(request, response)
  })
  let pulled = false
  const host = dockerHost(await connectEngine({ address: fake.address }), readSettings({}))
  expect(await ensureBaseImage({ host, suite: 'trixie', mirror })).toMatchObject({ origin: 'pulled' })
})
