import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { localCaches, OciLayout, parseDescriptor } from './local-caches.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkernels-cache-'))
})
afterEach(() => rm(directory, { recursive: true }))

const registry = { type: 'registry', attrs: { ref: 'a/b' } }
const from = (attrs: Record<string, string> = {}) => ({ type: 'local', attrs: { src: directory, ...attrs } })
const to = (attrs: Record<string, string> = {}) => ({ type: 'local', attrs: { dest: directory, ...attrs } })
const response = { 'cache.manifest': JSON.stringify({ mediaType: 'm', digest: 'sha256:1', size: 1 }) }

test('a solve without directories keeps its caches and offers nothing', async () => {
  const { request, attachables } = await localCaches({ cacheImports: [registry], cacheExports: [{ type: 'inline' }] })
  expect(request).toEqual({ cacheImports: [registry], cacheExports: [{ type: 'inline' }] })
  expect(attachables).toEqual([])
})

test('a directory that nothing was written to yet is no cache', async () => {
  const absent = { type: 'local', attrs: { src: join(directory, 'absent') } }
  const { request } = await localCaches({ cacheImports: [absent, from(), registry] })
  expect(request.cacheImports).toEqual([registry])
})

test('what one solve exported, the next imports by its digest', async () => {
  const { request, record } = await localCaches({ cacheImports: [from()], cacheExports: [to({ tag: 'main' })] })
  expect(request).toEqual({ cacheImports: [], cacheExports: [to({ tag: 'main' })] })
  await record(response)
  const { request: next, attachables } = await localCaches({ cacheImports: [from({ tag: 'main' }), from()] })
  expect(next.cacheImports).toEqual([from({ tag: 'main', digest: 'sha256:1' })])
  expect(attachables).toHaveLength(1)
})

test('a solve that exported nothing leaves the cache that is there', async () => {
  await (await localCaches({ cacheExports: [to()] })).record(response)
  await (await localCaches({ cacheExports: [to()] })).record({})
  expect((await localCaches({ cacheImports: [from()] })).request.cacheImports).toEqual([from({ digest: 'sha256:1' })])
})

test('what cannot be a cache is refused before anything is solved', async () => {
  const file = join(directory, 'index.json')
  await writeFile(file, 'no json')
  await expect(localCaches({ cacheImports: [from()] })).rejects.toMatchObject({ code: 'CACHE_DIRECTORY' })
  const dest = { type: 'local', attrs: { dest: join(file, 'cache') } }
  await expect(localCaches({ cacheExports: [dest] })).rejects.toMatchObject({ code: 'CACHE_DIRECTORY' })
})

let layoutDirectory: string
beforeEach(async () => {
  layoutDirectory = await mkdtemp(join(tmpdir(), 'testkernels-layout-'))
})
afterEach(() => rm(layoutDirectory, { recursive: true }))

const manifest = (digest: string) =>
  parseDescriptor(JSON.stringify({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 7 }))

test('a layoutDirectory that is not there has no tags, and is made for the first', async () => {
  const layout = new OciLayout(join(layoutDirectory, 'a/b'))
  expect(await layout.find('latest')).toBeUndefined()
  await layout.put(manifest('sha256:1'), 'latest')
  expect(await layout.find('latest')).toBe('sha256:1')
})

test('a tag goes to the last that got it, and others stay', async () => {
  const layout = new OciLayout(layoutDirectory)
  await layout.put(manifest('sha256:1'), 'main')
  await layout.put(manifest('sha256:2'), 'branch')
  await layout.put(manifest('sha256:3'), 'branch')
  expect([await layout.find('main'), await layout.find('branch')]).toEqual(['sha256:1', 'sha256:3'])
  expect((await readdir(layoutDirectory)).toSorted()).toEqual(['index.json', 'oci-layout'])
  const index = JSON.parse(await readFile(join(layoutDirectory, 'index.json'), 'utf8'))
  expect(index.manifests).toEqual([
    {
      ...manifest('sha256:1'),
      annotations: { 'org.opencontainers.image.ref.name': 'main' },
    },
    {
      ...manifest('sha256:3'),
      annotations: { 'org.opencontainers.image.ref.name': 'branch' },
    },
  ])
})

test.each(['no json', '{}', '{"manifests":[{}]}'])('an index that is %j is an error', async (text) => {
  await writeFile(join(layoutDirectory, 'index.json'), text)
  await expect(new OciLayout(layoutDirectory).find('latest')).rejects.toThrow()
  await expect(new OciLayout(layoutDirectory).put(manifest('sha256:1'), 'latest')).rejects.toThrow()
  expect(await readFile(join(layoutDirectory, 'index.json'), 'utf8')).toBe(text)
})
