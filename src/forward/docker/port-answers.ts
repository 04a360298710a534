import { Transform } from 'node:stream'
import type { Request } from './exchange.ts'

/** Where ports of a guest are that are not at their own numbers on this machine. */
export interface MovedPorts {
  readonly hasMoved: boolean
  /** Of a container, by port as the docker command line writes it (`80/tcp`). */
  moved(containerId: string): ReadonlyMap<string, number>
}

const HEAD_END = '\r\n\r\n'
/** More than dockerd's heads have. */
const HEAD_MAX_BYTES = 16_384
const INSPECTED = /^(?:\/v[\d.]+)?\/containers\/[^/?]+\/json(?:\?|$)/
const LISTED = /^(?:\/v[\d.]+)?\/containers\/json(?:\?|$)/

/**
 * Passes on what comes from the server. An answer that says where ports of containers are, says where they are on this machine: what
 * clients read of a port, they connect to.
 * @param request what the client asked last
 */
export function tellMovedPorts(request: () => Request | undefined, ports: MovedPorts): Transform {
  let held: Buffer | undefined
  let rewrite: ((body: unknown) => void) | undefined
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      if (held === undefined && ports.hasMoved) rewrite = rewriterOf(request(), ports)
      if (rewrite === undefined) return done(null, piece)
      held = held === undefined ? piece : Buffer.concat([held, piece])
      const answer = rewritten(held, rewrite)
      if (answer === 'is not whole') return done()
      const passed = answer ?? held
      held = undefined
      rewrite = undefined
      done(null, passed)
    },
    // One that breaks off is passed on as it is.
    flush: (done) => done(null, held),
  })
}

/** What is to become of the body of an answer; undefined where nothing is. */
function rewriterOf(request: Request | undefined, ports: MovedPorts): ((body: unknown) => void) | undefined {
  if (request?.method !== 'GET') return undefined
  if (INSPECTED.test(request.target)) return (body) => moveInspected(body as Partial<Inspected>, ports)
  if (LISTED.test(request.target)) return (body) => moveListed(body as readonly Partial<Listed>[], ports)
  return undefined
}

interface Inspected {
  readonly Id: string
  readonly NetworkSettings: { readonly Ports?: Readonly<Record<string, { HostPort: string }[] | null>> | null }
}

/** `GET /containers/ID/json` of the Engine API. */
function moveInspected({ Id = '', NetworkSettings }: Partial<Inspected>, ports: MovedPorts): void {
  const moved = ports.moved(Id)
  for (const [port, bindings] of Object.entries(NetworkSettings?.Ports ?? {}))
    for (const binding of bindings ?? []) {
      const at = moved.get(`${binding.HostPort}/${port.split('/')[1]}`)
      if (at !== undefined) binding.HostPort = String(at)
    }
}

interface Listed {
  readonly Id: string
  readonly Ports: readonly { PublicPort?: number; readonly Type: string }[] | null
}

/** `GET /containers/json` of the Engine API. */
function moveListed(containers: readonly Partial<Listed>[], ports: MovedPorts): void {
  for (const { Id = '', Ports } of containers) {
    const moved = ports.moved(Id)
    for (const port of Ports ?? []) {
      const at = moved.get(`${port.PublicPort}/${port.Type}`)
      if (at !== undefined) port.PublicPort = at
    }
  }
}

/** The answer with another body; undefined where it has none that could be another. */
function rewritten(answer: Buffer, rewrite: (body: unknown) => void): Buffer | 'is not whole' | undefined {
  const headLength = answer.indexOf(HEAD_END)
  if (headLength < 0) return answer.length < HEAD_MAX_BYTES ? 'is not whole' : undefined
  const head = answer.toString('latin1', 0, headLength)
  const rest = answer.subarray(headLength + HEAD_END.length)
  const body = / 200 /.test(head.slice(0, 16)) ? bodyOf(head, rest) : undefined
  if (body === undefined || body === 'is not whole') return body
  try {
    const document = JSON.parse(String(body))
    rewrite(document)
    const json = Buffer.from(`${JSON.stringify(document)}\n`)
    const kept = head.split('\r\n').filter((line) => !/^(?:content-length|transfer-encoding):/i.test(line))
    return Buffer.concat([
      Buffer.from([...kept, `Content-Length: ${json.length}`, '', ''].join('\r\n'), 'latin1'),
      json,
    ])
  } catch {
    // Not what the API says: the client sees what there is.
    return undefined
  }
}

/** @param rest what has come behind the head */
function bodyOf(head: string, rest: Buffer): Buffer | 'is not whole' | undefined {
  if (/^transfer-encoding: *chunked *$/im.test(head)) return chunksOf(rest)
  const [, length] = /^content-length: *(\d+) *$/im.exec(head) ?? []
  if (length === undefined) return undefined
  return rest.length < Number(length) ? 'is not whole' : rest.subarray(0, Number(length))
}

/** The content of chunks, each behind a line with its length (RFC 9112, 7.1). */
function chunksOf(rest: Buffer): Buffer | 'is not whole' | undefined {
  const contents: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf('\r\n', at)
    if (lineEnd < 0) return 'is not whole'
    const length = Number.parseInt(rest.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(length)) return undefined
    const [from, to] = [lineEnd + 2, lineEnd + 2 + length]
    if (rest.length < to + 2) return 'is not whole'
    if (length === 0) return Buffer.concat(contents)
    contents.push(rest.subarray(from, to))
    at = to + 2
  }
}
