import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { expect, test } from 'vitest'
import { exporters, llb } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, scratchDir, unique } from './support.ts'

const graph = () =>
  llb.scratch(platform).file(llb.mkdir('/dir').mkfile('/dir/file', 'content').mkfile('/large', 'x'.repeat(200_000)))

async function entriesOf(tar: Readable): Promise<Record<string, string>> {
  const entries: Record<string, string> = {}
  for await (const entry of tar.pipe(extract()))
    entries[entry.header.name.replace(/^\.?\//, '')] = (await buffer(entry)).toString()
  return entries
}

test('a result becomes a tar file with nothing beside it', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const to = join(out.path, 'new', 'result.tar')
  await buildkit.solve({ definition: graph().definition(), exporter: exporters.tar({ to }) })
  expect(await entriesOf(createReadStream(to))).toMatchObject({ 'dir/file': 'content', large: 'x'.repeat(200_000) })
  expect(await readdir(join(out.path, 'new'))).toEqual(['result.tar'])
})

test('a result goes into a stream as tar', async () => {
  await using buildkit = await connect()
  const to = new PassThrough()
  const entries = entriesOf(to)
  await buildkit.solve({ definition: graph().definition(), exporter: exporters.tar({ to }) })
  expect(await entries).toMatchObject({ 'dir/file': 'content' })
})

test('a solve that fails leaves no tar, and the one from before as it was', async () => {
  await using buildkit = await connect()
  await using out = await scratchDir()
  const to = join(out.path, 'result.tar')
  await buildkit.solve({ definition: graph().definition(), exporter: exporters.tar({ to }) })
  const before = await readFile(to)
  const bad = llb.image(baseRef(), { platform }).run({ script: `echo ${unique()}; exit 1` })
  await expect(buildkit.solve({ definition: bad.definition(), exporter: exporters.tar({ to }) })).rejects.toThrow(
    'exit code 1',
  )
  expect((await readFile(to)).equals(before)).toBe(true)
  expect(await readdir(out.path)).toEqual(['result.tar'])
})
