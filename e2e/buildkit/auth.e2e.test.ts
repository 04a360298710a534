import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { expect, test, vi } from 'vitest'
import { llb, registryAuth } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { connect, scratchDir, sharesLoopback, solveInto, unique } from './support.ts'

test.runIf(sharesLoopback)('the credentials of docker login open a private registry', async () => {
  await using registry = await startRegistry({ user: 'me', password: 'sesame:open' })
  await using config = await scratchDir()
  const auth = Buffer.from('me:sesame:open').toString('base64')
  await writeFile(join(config.path, 'config.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }))
  await using out = await scratchDir()
  await using buildkit = await connect()
  await solveInto(buildkit, out.path, {
    definition: llb.image(registry.ref, { platform }).definition(),
    attachables: [registryAuth({ configDir: config.path })],
  })
  expect(await readFile(join(out.path, 'private'), 'utf8')).toBe(registry.content)
})

test.runIf(sharesLoopback)('a credential helper is asked for the registry', async () => {
  await using registry = await startRegistry({ user: 'helped', password: 'by a program' })
  await using config = await scratchDir()
  const helper = join(config.path, 'docker-credential-e2e')
  const answer = JSON.stringify({ ServerURL: registry.host, Username: 'helped', Secret: 'by a program' })
  await writeFile(helper, `#!/bin/sh\n[ "$1 $(cat)" = 'get ${registry.host}' ] && echo '${answer}'\n`)
  await chmod(helper, 0o755)
  await writeFile(join(config.path, 'config.json'), JSON.stringify({ credHelpers: { [registry.host]: 'e2e' } }))
  vi.stubEnv('PATH', `${config.path}:${process.env['PATH']}`)
  await using buildkit = await connect()
  await buildkit.solve({
    definition: llb.image(registry.ref, { platform }).definition(),
    attachables: [registryAuth({ configDir: config.path })],
  })
  vi.unstubAllEnvs()
})

test.runIf(sharesLoopback)(
  'without credentials a private registry stays closed, and the error says what to do',
  async () => {
    await using registry = await startRegistry({ user: 'me', password: 'sesame' })
    await using config = await scratchDir()
    await using buildkit = await connect()
    const solving = buildkit.solve({
      definition: llb.image(registry.ref, { platform }).definition(),
      attachables: [registryAuth({ configDir: config.path })],
    })
    await expect(solving).rejects.toMatchObject({
      code: 'SOLVE_FAILED',
      message: expect.stringContaining(registry.host),
      remedy: expect.stringContaining('log in'),
    })
  },
)

/** A registry on the loopback device with one image, for those who know the password. Engines talk plain HTTP to it. */
async function startRegistry({ user, password }: { user: string; password: string }) {
  const content = unique()
  const blobs = new Map<string, Buffer>()
  const add = (blob: Buffer, mediaType: string) => {
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`
    blobs.set(digest, blob)
    return { mediaType, digest, size: blob.byteLength }
  }
  const archive = pack()
  archive.entry({ name: 'private' }, content)
  archive.finalize()
  const tar = await buffer(archive)
  const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`
  const layer = add(gzipSync(tar), 'application/vnd.docker.image.rootfs.diff.tar.gzip')
  const configuration = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
  const config = add(Buffer.from(JSON.stringify(configuration)), 'application/vnd.docker.container.image.v1+json')
  const manifestType = 'application/vnd.docker.distribution.manifest.v2+json'
  const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] }
  const { digest } = add(Buffer.from(JSON.stringify(manifest)), manifestType)

  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const server = createServer((request, response) => {
    if (request.headers.authorization !== authorization)
      return void response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="e2e"' }).end()
    const [, kind, wanted] = /^\/v2\/e2e\/image\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? []
    const blob = blobs.get(wanted === 'latest' ? digest : (wanted ?? ''))
    if (blob === undefined) return void response.writeHead(404).end()
    send(response, kind === 'manifests' ? manifestType : 'application/octet-stream', blob)
  })
  const send = (response: ServerResponse, type: string, blob: Buffer) =>
    response
      .writeHead(200, { 'Content-Type': type, 'Content-Length': blob.byteLength, 'Docker-Content-Digest': digest })
      .end(blob)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `localhost:${(server.address() as AddressInfo).port}`
  return {
    host,
    ref: `${host}/e2e/image:latest`,
    content,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
