// A Debian archive that wants a password: the machine's own, behind a server of ours.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { architectures } from '../../../src/arch/index.ts'
import { aptMirror } from '../../../src/image/base/apt-mirror.ts'
import { bootstrap } from '../../../src/image/base/bootstrap.ts'
import { parseMirror } from '../../../src/image/base/debian-mirror.ts'

const BOOTSTRAP_DEADLINE_MS = 600_000
const upstream = await aptMirror()
const [arch] = architectures

test.skipIf(upstream === undefined)(
  'a base image is made from it, and has no trace of the password',
  async () => {
    let denied = 0
    const server = createServer(async (request, response) => {
      const shown = Buffer.from(`archivist:open:sesame`).toString('base64')
      if (request.headers.authorization !== `Basic ${shown}`) {
        denied++
        response.writeHead(401, { 'www-authenticate': 'Basic realm="archive"' }).end()
        return
      }
      const answer = await fetch(`${upstream}${request.url?.slice('/debian'.length)}`)
      response.writeHead(answer.status)
      Readable.from(answer.body ?? []).pipe(response)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    let said = ''
    let bytes = 0
    let sources = ''
    let rest = ''
    const images = {
      import: async (tar: Readable) => {
        for await (const chunk of tar) {
          const text = rest + chunk.toString('latin1')
          bytes += chunk.length
          for (const secret of ['archivist', 'sesame']) if (text.includes(secret)) said += secret
          sources ||= /deb http:\/\/127\.0\.0\.1:\d+\/debian trixie main/.exec(text)?.[0] ?? ''
          rest = text.slice(-100)
        }
        return 'sha256:1'
      },
    }
    const mirror = parseMirror(`http://archivist:open%3Asesame@127.0.0.1:${port}/debian`)
    const host = { arch, images } as unknown as Parameters<typeof bootstrap>[0]['host']
    await bootstrap({ host, suite: 'trixie', mirror, ref: 'none', labels: {} })
    server.close()
    expect(bytes).toBeGreaterThan(50_000_000)
    expect(sources).toBe(`deb ${mirror.url} trixie main`)
    expect(said).toBe('')
    expect(denied).toBeLessThan(5)
  },
  BOOTSTRAP_DEADLINE_MS,
)
