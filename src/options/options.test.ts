import { expect, test } from 'vitest'
import { parseKernelEntry, parseMatrix } from './kernel-entry.ts'
import { kernelLabel, kernelText, parseKernelReference } from './kernel-reference.ts'
import { readSettings } from './settings.ts'

test('fills in the defaults and freezes', () => {
  const entry = parseKernelEntry('v2', { kernel: 'debian:trixie' })
  expect(entry).toMatchObject({
    name: 'v2',
    cgroup: 2,
    memoryMib: 2048,
    accelerator: 'auto',
    reference: { suite: 'trixie' },
  })
  expect(Object.isFrozen(entry)).toBe(true)
})

test.each([
  [{ kernel: 'debian:trixie', memory: 1 }, "v2: unknown option 'memory'"],
  [{ cgroup: 1 }, "v2: option 'kernel' is missing"],
  [{ kernel: 'debian:trixie', cgroup: 3 }, "v2: option 'cgroup' must be (1 | 2), got 3"],
  [{ kernel: 'debian:trixie', memoryMib: 16 }, "v2: option 'memoryMib' must be >=512, got 16"],
  [{ kernel: 'debian:trixie', cpus: 1.5 }, "v2: option 'cpus' must be a whole number, got 1.5"],
  ['debian:trixie', 'v2: expected an object of options'],
])('refuses %j', (options, message) => {
  expect(() => parseKernelEntry('v2', options)).toThrow(message)
})

test.each(['', 'a b', '../x', '-x', 'x'.repeat(64)])('refuses the name %j', (name) => {
  expect(() => parseKernelEntry(name, { kernel: 'debian:trixie' })).toThrow('cannot be the name of a kernel entry')
})

test('reads references with suite and flavour', () => {
  expect(parseKernelReference('debian:bookworm/amd64')).toEqual({ kind: 'debian', suite: 'bookworm', flavour: 'amd64' })
  expect(parseKernelReference('debian:trixie-backports')).toMatchObject({ suite: 'trixie-backports' })
})

test('reads a version, or how one begins, of any suite and flavour', () => {
  expect(parseKernelReference('debian:bookworm@6.1.187-1')).toEqual({
    kind: 'debian',
    suite: 'bookworm',
    version: '6.1.187-1',
  })
  const all = parseKernelReference('debian:trixie-backports/amd64@6.19.10-1~bpo13+1')
  expect(all).toMatchObject({ suite: 'trixie-backports', flavour: 'amd64', version: '6.19.10-1~bpo13+1' })
  expect(kernelLabel(all)).toBe('trixie-backports/amd64@6.19.10-1~bpo13+1')
})

test('reads a Dockerfile that installs a kernel, in one string or with more to say', () => {
  const dockerfile = import.meta.filename
  const reference = parseKernelReference(`dockerfile:${dockerfile}`)
  expect(reference).toMatchObject({ kind: 'dockerfile', dockerfile, context: import.meta.dirname, buildArgs: {} })
  expect(kernelLabel(reference)).toBe('options.test.ts')
  const kernel = { dockerfile, target: 'kernel', buildArgs: { IMAGE: 'rockylinux:9' } }
  expect(parseKernelEntry('el9', { kernel }).reference).toMatchObject({ kind: 'dockerfile', ...kernel })
  expect(kernelText(kernel)).toBe(`dockerfile:${dockerfile} with kernel, IMAGE=rockylinux:9`)
})

test('a file that is called as all Dockerfiles are has the name of its directory', () => {
  const kernel = 'dockerfile:fixtures/kernel-recipes/Dockerfile'
  expect(kernelLabel(parseKernelReference(kernel))).toBe('kernel-recipes')
})

test.each([
  ['dockerfile:./none/Dockerfile', /the kernel needs \S+none\/Dockerfile, which is not there/],
  [{ dockerfile: 'none' }, /v2: the kernel needs \S+none, which is not there/],
  [
    { dockerfile: import.meta.filename, buildArgs: { VERSION: 8 } },
    /option 'kernel.buildArgs.VERSION' must be string, got 8/,
  ],
  [{ dockerfile: import.meta.filename, config: ['kasan'] }, /unknown option 'kernel.config'/],
])('refuses the kernel %j', (kernel, message) => {
  expect(() => parseKernelEntry('v2', { kernel })).toThrow(message)
})

test.each([
  'debian:potato',
  'debian:bookworm@',
  'debian:bookworm@latest',
  'debian:bookworm@6.1 6.2',
  'debian',
  'bookworm',
  '6.12',
  'debian:bookworm;rm -rf /',
])('does not know %j', (text) => {
  expect(() => parseKernelReference(text)).toThrow(`unknown kernel '${text}'`)
})

test('refuses two entries of one name, and a matrix with none', () => {
  const entry = { name: 'a', kernel: 'debian:trixie' }
  expect(() => parseMatrix([entry, entry])).toThrow("two entries are named 'a'")
  expect(() => parseMatrix({})).toThrow('the matrix has no entry')
})

test('settings come from the environment, with its defaults', () => {
  expect(readSettings({ XDG_CACHE_HOME: '/c', TESTKERNELS_DEBUG: '0' })).toMatchObject({
    debug: false,
    cacheDirectory: '/c/testkernels',
  })
  expect(readSettings({ TESTKERNELS_DEBUG: '1' }).debug).toBe(true)
  expect(() => readSettings({ TESTKERNELS_RUN_DIR: 'x' })).toThrow('TESTKERNELS_RUN_DIR must be an absolute path')
})

test('progress is shown as BUILDKIT_PROGRESS says, or by what standard error is', () => {
  expect(readSettings({}).progress).toBe('auto')
  expect(readSettings({ BUILDKIT_PROGRESS: 'rawjson' }).progress).toBe('rawjson')
  expect(() => readSettings({ BUILDKIT_PROGRESS: 'fancy' })).toThrow(
    "BUILDKIT_PROGRESS must be one of auto, tty, plain, rawjson, quiet, got 'fancy'",
  )
})
