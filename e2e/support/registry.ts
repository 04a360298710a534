import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Registry extends AsyncDisposable {
  /** `ADDRESS:PORT` */
  readonly host: string
  readonly port: number
  /** `NAME:TAG` of each manifest that has a tag. */
  readonly tags: readonly string[]
}

interface Stored {
  readonly type: string
  readonly content: Buffer
}

export interface RegistryOptions {
  /** @default '127.0.0.1', where engines speak plain HTTP with it */
  readonly address?: string
  /** @default plain HTTP */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** A registry of the distribution API, version 2, that keeps in memory what it gets, and knows no user. */
export async function startRegistry({ address = '127.0.0.1', tls }: RegistryOptions = {}): Promise<Registry> {
  const blobs = new Map<string, Stored>()
  const manifests = new Map<string, Stored>()
  const uploads = new Map<string, Buffer[]>()
  const take = (request: IncomingMessage, response: ServerResponse) => void answer(request, response)
  const server = tls === undefined ? createServer(take) : createTlsServer(tls, take)
  server.listen(0, address)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://registry')
    const body = await buffer(request)
    const [, name = '', kind, rest = ''] = /^\/v2\/(.+)\/(blobs|manifests)\/(.+|uploads\/)$/.exec(pathname) ?? []
    if (pathname === '/v2/') reply(200)
    else if (rest.startsWith('uploads/')) upload(rest.slice('uploads/'.length))
    else if (kind === 'blobs') send(blobs.get(rest))
    else if (kind === 'manifests' && request.method === 'PUT') {
      const stored = { type: request.headers['content-type'] ?? '', content: body }
      for (const reference of [rest, digestOf(body)]) manifests.set(`${name}:${reference}`, stored)
      reply(201, { 'Docker-Content-Digest': digestOf(body) })
    } else send(manifests.get(`${name}:${rest}`))

    function upload(started: string): void {
      const mounted = searchParams.get('mount')
      if (mounted !== null && blobs.has(mounted)) {
        reply(201, { Location: `/v2/${name}/blobs/${mounted}` })
        return
      }
      const id = started || randomUUID()
      const parts = [...(uploads.get(id) ?? []), body]
      uploads.set(id, parts)
      const location = { Location: `/v2/${name}/blobs/uploads/${id}`, 'Docker-Upload-UUID': id }
      if (request.method !== 'PUT') {
        const last = parts.reduce((sum, { length }) => sum + length, 0) - 1
        reply(202, { ...location, Range: `0-${Math.max(0, last)}` })
        return
      }
      const content = Buffer.concat(parts)
      uploads.delete(id)
      if (digestOf(content) !== searchParams.get('digest')) {
        reply(400)
        return
      }
      blobs.set(digestOf(content), { type: 'application/octet-stream', content })
      reply(201, { Location: `/v2/${name}/blobs/${digestOf(content)}` })
    }

    function send(stored: Stored | undefined): void {
      if (stored === undefined) {
        reply(404)
        return
      }
      const { type, content } = stored
      reply(
        200,
        { 'Content-Type': type, 'Content-Length': content.length, 'Docker-Content-Digest': digestOf(content) },
        request.method === 'HEAD' ? undefined : content,
      )
    }

    function reply(status: number, headers: Record<string, string | number> = {}, content?: Buffer): void {
      response.writeHead(status, { 'Docker-Distribution-Api-Version': 'registry/2.0', ...headers }).end(content)
    }
  }

  return {
    host: `${address}:${port}`,
    port,
    get tags() {
      return [...manifests.keys()].filter((key) => !key.includes('@') && !key.includes('sha256:'))
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}
