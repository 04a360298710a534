import { expect, test } from 'vitest'
import { checksumIn, tarballOf } from './kernel-org.ts'

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
