import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { checksumIn, publishedChecksum, tarballOf } from './kernel-org.ts'

const MIRROR = 'http://10.0.0.1/linux'

test.each([
  ['6.12.10', undefined, 'https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-6.12.10.tar.xz'],
  ['5.10', undefined, 'https://cdn.kernel.org/pub/linux/kernel/v5.x/linux-5.10.tar.xz'],
  ['6.13-rc1', undefined, 'https://git.kernel.org/torvalds/t/linux-6.13-rc1.tar.gz'],
  ['6.12.10', MIRROR, `${MIRROR}/v6.x/linux-6.12.10.tar.xz`],
  ['6.13-rc1', MIRROR, `${MIRROR}/v6.x/testing/linux-6.13-rc1.tar.gz`],
])('%s from %s is at %s', (version, mirror, url) => {
  expect(tarballOf(version, mirror).url).toBe(url)
})

test('checksums are beside the tarballs, but kernel.org has none of release candidates', () => {
  expect(tarballOf('6.12.10', undefined).checksumsUrl).toBe(
    'https://cdn.kernel.org/pub/linux/kernel/v6.x/sha256sums.asc',
  )
  expect(tarballOf('6.13-rc1', MIRROR).checksumsUrl).toBe(`${MIRROR}/v6.x/testing/sha256sums.asc`)
  expect(tarballOf('6.13-rc1', undefined).checksumsUrl).toBeUndefined()
})

test('finds the sum of exactly that file in a signed list', () => {
  const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]
  const list = [
    '-----BEGIN PGP SIGNED MESSAGE-----',
    'Hash: SHA256',
    '',
    `${b}  linux-6.1.1.tar.xz`,
    `${a}  linux-6.1.tar.xz\r`,
    `${b}  linux-6.1.tar.xz.sign`,
    '-----BEGIN PGP SIGNATURE-----',
    'iQIzBAEBCAAdFiEE',
  ].join('\n')
  expect(checksumIn(list, 'linux-6.1.tar.xz')).toBe(a)
  expect(checksumIn(list, 'linux-6.1.2.tar.xz')).toBeUndefined()
})

const SUM = 'c'.repeat(64)
let server: Server
let requests: string[]
let cacheDirectory: string

beforeEach(async () => {
  requests = []
  cacheDirectory = await mkdtemp(join(tmpdir(), 'testkernels-checksum-'))
  server = createServer((request, response) => {
    requests.push(request.url ?? '')
    if (request.url === '/v6.x/sha256sums.asc') response.end(`${SUM}  linux-6.1.2.tar.xz\n`)
    else response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  server.close()
  await rm(cacheDirectory, { recursive: true })
})

function checksumOf(version: string, port = (server.address() as AddressInfo).port): Promise<string> {
  const { name, url, checksumsUrl = '' } = tarballOf(version, `http://127.0.0.1:${port}`)
  return publishedChecksum({ name, url, checksumsUrl }, { cacheDirectory, signal: new AbortController().signal })
}

test('is asked for once', async () => {
  expect([await checksumOf('6.1.2'), await checksumOf('6.1.2')]).toEqual([SUM, SUM])
  expect(requests).toEqual(['/v6.x/sha256sums.asc'])
})

test('a version that is not listed is an error that names the list, and is asked for again', async () => {
  for (const _ of [1, 2]) {
    await expect(checksumOf('6.1.99')).rejects.toMatchObject({
      code: 'KERNEL_SOURCE_UNAVAILABLE',
      message: expect.stringMatching(/there is no linux-6.1.99.tar.xz in http:.*sha256sums.asc/),
    })
  }
  expect(requests).toHaveLength(2)
})

test('a list that is not there is an error with its status', async () => {
  await expect(checksumOf('5.1')).rejects.toThrow(/cannot learn the checksum of linux-5.1.tar.xz.*\n.*HTTP 404/)
})

test('a server that cannot be reached is an error that says so, and what to do', async () => {
  const { port } = server.address() as AddressInfo
  server.close()
  await expect(checksumOf('6.1.2', port)).rejects.toThrow(/ECONNREFUSED[\s\S]*TESTKERNELS_KERNEL_MIRROR/)
})

test('an abort is passed on as it is', async () => {
  const { name, url, checksumsUrl = '' } = tarballOf('6.1', 'http://127.0.0.1:1')
  const signal = AbortSignal.abort(new Error('called off'))
  await expect(publishedChecksum({ name, url, checksumsUrl }, { cacheDirectory, signal })).rejects.toThrow('called off')
})
