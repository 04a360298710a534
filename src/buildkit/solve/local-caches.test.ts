import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { localCaches } from './local-caches.ts'

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
