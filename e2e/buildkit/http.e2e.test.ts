import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { llb } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { connect, scratchDir, sharesLoopback, solveInto, unique } from './support.ts'

/** On the loopback device of this machine, which is also that of the engine. */
async function serve(content: string) {
  const server = createServer((_request, response) => response.end(content)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${unique()}/linux.tar`
  return { url, [Symbol.asyncDispose]: async () => void server.close() }
}

const checksumOf = (content: string) => `sha256:${createHash('sha256').update(content).digest('hex')}`

test.runIf(sharesLoopback)('a download whose checksum is right is a file of the name and mode asked for', async () => {
  const content = unique()
  await using server = await serve(content)
  await using buildkit = await connect()
  await using out = await scratchDir()
  const source = llb.http(server.url, { platform, checksum: checksumOf(content), filename: 'source.tar', mode: 0o640 })
  await solveInto(buildkit, out.path, { definition: source.definition() })
  expect(await readFile(join(out.path, 'source.tar'), 'utf8')).toBe(content)
  expect((await stat(join(out.path, 'source.tar'))).mode & 0o777).toBe(0o640)
})

test.runIf(sharesLoopback)('a download whose checksum is wrong fails, and tells both', async () => {
  const content = unique()
  await using server = await serve(content)
  await using buildkit = await connect()
  const source = llb.http(server.url, { platform, checksum: checksumOf('something else') })
  await expect(buildkit.solve({ definition: source.definition() })).rejects.toThrow(
    new RegExp(`${checksumOf(content)}[\\s\\S]*${checksumOf('something else')}`),
  )
})
