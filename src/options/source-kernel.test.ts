import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { parseKernelEntry } from './kernel-entry.ts'
import { kernelLabel, kernelText, parseKernelReference } from './kernel-reference.ts'
import { readSettings } from './settings.ts'
import { readyFragments, withConfig } from './source-kernel.ts'

const directory = mkdtempSync(join(tmpdir(), 'testkernels-source-'))
const tarball = join(directory, 'linux-6.1.tar.xz')
const fragment = join(directory, 'my.config')
writeFileSync(tarball, '')
writeFileSync(fragment, '')
afterAll(() => rmSync(directory, { recursive: true }))

const sha256 = 'ab'.repeat(32)
const source = (origin: object) => ({ kind: 'source', origin, config: [] })

test.each([
  ['version:6.12.10', { kind: 'version', version: '6.12.10' }, '6.12.10'],
  ['version:6.12', { kind: 'version', version: '6.12' }, '6.12'],
  ['version:6.13-rc1', { kind: 'version', version: '6.13-rc1' }, '6.13-rc1'],
  [`version:6.12.10#sha256=${sha256}`, { kind: 'version', version: '6.12.10', sha256 }, '6.12.10'],
  ['source:debian/bookworm', { kind: 'debian', suite: 'bookworm' }, 'debian/bookworm'],
  ['source:debian/bookworm-backports', { kind: 'debian', suite: 'bookworm-backports' }, 'debian/bookworm-backports'],
  [`source:${tarball}`, { kind: 'tarball', path: tarball }, 'linux-6.1.tar.xz'],
  [`source:${tarball}#sha256=${sha256.toUpperCase()}`, { kind: 'tarball', path: tarball, sha256 }, 'linux-6.1.tar.xz'],
  [`source:${directory}/`, { kind: 'tree', path: directory }, directory.split('/').at(-1)],
])('reads %s', (text, origin, label) => {
  const reference = parseKernelReference(text)
  expect(reference).toEqual(source(origin))
  expect(kernelLabel(reference)).toBe(label)
})

test.each([
  ['version:6', "'6' is no version of the kernel"],
  ['version:6.12.10-rc1', 'is no version of the kernel'],
  ['version:6.12;x', 'is no version of the kernel'],
  ['version:6.12#sha256=abc', "'abc' is not a sha256"],
  ['source:debian/potato', "unknown kernel source 'debian/potato'"],
  ['source:linux.tar.xz', "unknown kernel source 'linux.tar.xz'"],
  ['source:/no/such/linux.tar.xz', 'the kernel source /no/such/linux.tar.xz is not there'],
  [`source:debian/trixie#sha256=${sha256}`, 'a sha256 is of a tarball'],
])('refuses %s', (text, message) => {
  expect(() => parseKernelReference(text, 'mine')).toThrow(message)
  expect(() => parseKernelReference(text, 'mine')).toThrow(/^mine: /)
})

test.each([
  ['version:4.19.48#compiler=debian/bullseye', { origin: { kind: 'version', version: '4.19.48' } }],
  [
    `version:4.19.48#sha256=${sha256},compiler=debian/bullseye`,
    { origin: { kind: 'version', version: '4.19.48', sha256 } },
  ],
  [`source:${tarball}#compiler=debian/bullseye`, { origin: { kind: 'tarball', path: tarball } }],
])('reads the compiler of %s', (text, kernel) => {
  expect(parseKernelReference(text)).toEqual({ kind: 'source', config: [], compilerSuite: 'bullseye', ...kernel })
})

test.each(['debian/potato', 'bullseye', 'debian/bullseye-backports', ''])("refuses the compiler '%s'", (compiler) => {
  const message = `mine: there is no compiler of '${compiler}'`
  expect(() => parseKernelReference(`version:4.19#compiler=${compiler}`, 'mine')).toThrow(message)
  expect(() => parseKernelReference({ version: '4.19', compiler }, 'mine')).toThrow(
    'name one of debian/bullseye, debian/bookworm',
  )
})

test('what follows a # is nothing but a checksum and a compiler', () => {
  expect(() => parseKernelReference(`version:4.19#sha256=${sha256},gcc=10`)).toThrow('is no version of the kernel')
  expect(() => parseKernelReference('version:4.19#,compiler=debian/bullseye')).toThrow('is no version of the kernel')
})

test('an object has config fragments, ready-made ones and files', () => {
  const { reference } = parseKernelEntry('k', {
    kernel: { source: 'debian/bookworm', config: ['cgroup-v1', fragment] },
  })
  expect(reference).toEqual({
    kind: 'source',
    origin: { kind: 'debian', suite: 'bookworm' },
    config: [
      { kind: 'ready', name: 'cgroup-v1' },
      { kind: 'file', path: fragment },
    ],
  })
})

test.each([
  [{ source: 'debian/trixie', config: ['kasn'] }, "unknown config fragment 'kasn'"],
  [{ source: 'debian/trixie', config: ['./no.config'] }, 'no.config is not there'],
  [{ source: 'debian/trixie', version: '6.12' }, "either 'source' or 'version'"],
  [{ config: [] }, "either 'source' or 'version'"],
])('refuses the object %j', (kernel, message) => {
  expect(() => parseKernelEntry('k', { kernel })).toThrow(message)
})

test('the command line gives fragments apart from the reference', () => {
  expect(withConfig('debian:trixie', [])).toBe('debian:trixie')
  expect(withConfig('source:debian/trixie', ['kasan'])).toEqual({ source: 'debian/trixie', config: ['kasan'] })
  expect(withConfig(`version:6.12#sha256=${sha256}`, ['kasan'])).toEqual({ version: '6.12', sha256, config: ['kasan'] })
  expect(() => withConfig('debian:trixie', ['kasan'])).toThrow("'debian:trixie' takes no config fragments")
})

test('messages name a kernel as the user did', () => {
  expect(kernelText('source:debian/trixie')).toBe('source:debian/trixie')
  expect(kernelText({ version: '6.12', config: ['kasan', './my.config'] })).toBe('version:6.12 with kasan, ./my.config')
  expect(kernelText({ source: './linux-4.18', compiler: 'debian/bullseye' })).toBe(
    'source:./linux-4.18 with the compiler of debian/bullseye',
  )
})

test('every ready-made fragment is there, and base.config is always taken', async () => {
  const files = await readdir(new URL('../../images/kernel/fragments', import.meta.url))
  expect(files.sort()).toEqual(['base', ...readyFragments].map((name) => `${name}.config`).sort())
})

test('a mirror of kernel.org is a URL', () => {
  expect(readSettings({ TESTKERNELS_KERNEL_MIRROR: 'http://10.0.0.1:80/linux/' }).kernelMirror).toBe(
    'http://10.0.0.1:80/linux',
  )
  expect(readSettings({}).kernelMirror).toBeUndefined()
  expect(() => readSettings({ TESTKERNELS_KERNEL_MIRROR: '/mirror' })).toThrow('must be an http or https URL')
  expect(() => readSettings({ TESTKERNELS_KERNEL_MIRROR: 'https://me:sesame@mirror.example.org' })).toThrow(
    /^(?!.*sesame).*would be in the history of images/s,
  )
})
