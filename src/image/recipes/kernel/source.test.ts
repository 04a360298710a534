import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { amd64 } from '../../../arch/amd64.ts'
import { OpSchema } from '../../../buildkit/gen/ops_pb.ts'
import { llb } from '../../../buildkit/graph.ts'
import { silentLogger } from '../../../log/index.ts'
import { parseKernelReference, type SourceKernel, type SourceKernelOptions } from '../../../options/index.ts'
import { sourceKernel } from './source.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkernels-source-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function ingredientOf(options: SourceKernelOptions) {
  const signal = new AbortController().signal
  const debian = async (suite: string) => llb.image(`debian:${suite}`, { platform: amd64.platform })
  const base = await debian('trixie')
  const context = { arch: amd64, base, suite: 'trixie', debian, mirror: undefined, kernelMirror: undefined }
  return await sourceKernel(parseKernelReference(options) as SourceKernel, 'label', {
    ...context,
    cacheDirectory: directory,
    log: silentLogger,
    signal,
  })
}

async function keyOf(options: SourceKernelOptions): Promise<string> {
  const { state, contentKey } = await ingredientOf(options)
  return `${state.definition().digest} ${contentKey}`
}

async function stepsOf(options: SourceKernelOptions): Promise<readonly string[]> {
  const { state } = await ingredientOf(options)
  return state.definition().vertexes.map(({ digest }) => digest)
}

const sha256 = 'ab'.repeat(32)

test('the same input is the same kernel, any other input another', async () => {
  const fragment = join(directory, 'my.config')
  await writeFile(fragment, 'CONFIG_KASAN=y\n')
  const inputs: SourceKernelOptions[] = [
    { source: 'debian/trixie' },
    { source: 'debian/bookworm' },
    { source: 'debian/trixie', config: ['cgroup-v1'] },
    { source: 'debian/trixie', config: ['cgroup-v1', fragment] },
    { source: 'debian/trixie', config: [fragment, 'cgroup-v1'] },
    { version: '6.12.10', sha256 },
    { version: '6.12.11', sha256 },
    { version: '6.12.11', sha256, compiler: 'debian/bullseye' },
  ]
  const keys = await Promise.all(inputs.map(keyOf))
  expect(new Set(keys).size).toBe(inputs.length)
  expect(await Promise.all(inputs.map(keyOf))).toEqual(keys)
})

test('a fragment that was edited or renamed is another kernel', async () => {
  const [mine, renamed] = [join(directory, 'my.config'), join(directory, 'other.config')]
  const key = async (path: string, content: string) => {
    await writeFile(path, content)
    return await keyOf({ source: 'debian/trixie', config: [path] })
  }
  const first = await key(mine, 'CONFIG_KASAN=y\n')
  expect(await key(mine, 'CONFIG_KASAN=n\n')).not.toBe(first)
  expect(await key(mine, 'CONFIG_KASAN=y\n')).toBe(first)
  expect(await key(renamed, 'CONFIG_KASAN=y\n')).not.toBe(first)
})

test('another configuration shares the compiler and the unpacked source', async () => {
  const plain = await stepsOf({ source: 'debian/trixie' })
  const other = await stepsOf({ source: 'debian/trixie', config: ['kasan'] })
  // Fragments, configuration, compilation.
  expect(other.filter((digest) => !plain.includes(digest))).toHaveLength(3)
})

test('the compiler of another suite is on a base of that suite, and what it builds is not', async () => {
  const { state } = await ingredientOf({ source: 'debian/bookworm', compiler: 'debian/bullseye' })
  const ops = state.definition().vertexes.map(({ bytes }) => fromBinary(OpSchema, bytes).op)
  const images = ops.map((op) => op.case === 'source' && op.value.identifier)
  expect(images).toContain('docker-image://docker.io/library/debian:bullseye')
  // Debian's source is fetched with apt of the base, whose archive has it.
  expect(images).toContain('docker-image://docker.io/library/debian:trixie')
})

test('a tarball of this machine is sent by itself, and counts with its content', async () => {
  const path = join(directory, 'linux.tar.xz')
  await writeFile(path, 'x')
  const first = await ingredientOf({ source: path })
  expect(first.directories).toEqual({ 'testkernels-kernel': { path: directory, include: ['linux.tar.xz'] } })
  await utimes(path, 1, 1)
  const second = await ingredientOf({ source: path })
  expect(second.state.definition().digest).toBe(first.state.definition().digest)
  expect(second.contentKey).not.toBe(first.contentKey)
  expect(await keyOf({ source: path, sha256 })).not.toBe(await keyOf({ source: path }))
})

test('of a tree, what was built in it stays here', async () => {
  const { directories } = await ingredientOf({ source: directory })
  expect(directories).toMatchObject({
    'testkernels-kernel': { path: directory, exclude: expect.arrayContaining(['.config', '**/*.o']) },
  })
})
