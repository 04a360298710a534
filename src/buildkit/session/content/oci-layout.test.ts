import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OciLayout, parseDescriptor } from './oci-layout.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkernels-layout-'))
})
afterEach(() => rm(directory, { recursive: true }))

const manifest = (digest: string) =>
  parseDescriptor(JSON.stringify({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 7 }))

test('a directory that is not there has no tags, and is made for the first', async () => {
  const layout = new OciLayout(join(directory, 'a/b'))
  expect(await layout.find('latest')).toBeUndefined()
  await layout.put(manifest('sha256:1'), 'latest')
  expect(await layout.find('latest')).toBe('sha256:1')
})

test('a tag goes to the last that got it, and others stay', async () => {
  const layout = new OciLayout(directory)
  await layout.put(manifest('sha256:1'), 'main')
  await layout.put(manifest('sha256:2'), 'branch')
  await layout.put(manifest('sha256:3'), 'branch')
  expect([await layout.find('main'), await layout.find('branch')]).toEqual(['sha256:1', 'sha256:3'])
  expect((await readdir(directory)).toSorted()).toEqual(['index.json', 'oci-layout'])
  const index = JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'))
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
  await writeFile(join(directory, 'index.json'), text)
  await expect(new OciLayout(directory).find('latest')).rejects.toThrow()
  await expect(new OciLayout(directory).put(manifest('sha256:1'), 'latest')).rejects.toThrow()
  expect(await readFile(join(directory, 'index.json'), 'utf8')).toBe(text)
})
