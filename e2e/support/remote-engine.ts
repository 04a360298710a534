// This machine's engine in the place of another machine's: over TCP, with TLS or without, and as far away as a test wants it.
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createAuthority } from '../../src/buildkit/testing/certificates.ts'

/** The loopback address in a form that is not known for one, so that what listens there is taken for another machine's. */
const ADDRESS = '::ffff:127.0.0.1'
const ENGINE = '/var/run/docker.sock'

export interface RemoteEngine extends AsyncDisposable {
  /** How a program reaches it. */
  readonly environment: Readonly<Record<string, string>>
  /** Connections that were taken so far. */
  readonly connections: number
  /** How often a client has begun to speak on a new connection, or after it was answered: what may take a round trip. */
  readonly exchanges: number
  /** Ends all connections; it takes new ones. */
  cut(): void
}

export interface RemoteEngineOptions {
  /** What a round trip takes, that of a connection's making as well, in milliseconds. @default 0 */
  readonly roundTripMs?: number
  /** @default without TLS */
  readonly certificates?: Certificates
}

export async function startRemoteEngine({
  roundTripMs = 0,
  certificates,
}: RemoteEngineOptions = {}): Promise<RemoteEngine> {
  const open = new Set<Socket>()
  let connections = 0
  let exchanges = 0
  const relay = (near: Socket) => {
    connections++
    const far = connect({ path: ENGINE, allowHalfOpen: true })
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => {
        open.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    let isAsked = false
    near.on('data', () => {
      if (!isAsked) exchanges++
      isAsked = true
    })
    far.on('data', () => {
      isAsked = false
    })
    // A client says nothing before its connection is made, which takes the first of its round trips.
    carry(near, far, { delayMs: roundTripMs / 2, firstMs: roundTripMs * 1.5 })
    carry(far, near, { delayMs: roundTripMs / 2, firstMs: roundTripMs / 2 })
  }
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  const options = { allowHalfOpen: true, noDelay: true }
  const server =
    certificates === undefined
      ? createServer(options, relay)
      : createTlsServer({ ...options, ...(await certificates.ofServer()), requestCert: true }, relay)
  server.listen(0, ADDRESS)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    environment: {
      DOCKER_HOST: `tcp://[${ADDRESS}]:${port}`,
      ...(certificates && { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates.directory }),
    },
    get connections() {
      return connections
    },
    get exchanges() {
      return exchanges
    },
    cut,
    [Symbol.asyncDispose]: async () => {
      server.close()
      cut()
    },
  }
}

interface Distance {
  readonly delayMs: number
  /** Of the first piece. */
  readonly firstMs: number
}

/** Passes each piece on so much later, in its order; the end as well. */
function carry(from: Socket, to: Socket, { delayMs, firstMs }: Distance): void {
  if (firstMs === 0) return void from.pipe(to)
  let earliest = performance.now() + firstMs
  const later = (work: () => void) => {
    // Never before the piece that came before it.
    earliest = Math.max(earliest, performance.now() + delayMs)
    setTimeout(work, earliest - performance.now())
  }
  from.on('data', (piece) => later(() => void to.write(piece)))
  from.once('end', () => later(() => to.end()))
}

/** The files of a `DOCKER_CERT_PATH`, and those of an engine at an address, all of one authority. */
export class Certificates implements AsyncDisposable {
  readonly directory: string

  private constructor(directory: string) {
    this.directory = directory
  }

  static async make(address: string = ADDRESS): Promise<Certificates> {
    const certificates = new Certificates(await mkdtemp(join(tmpdir(), 'tk-certificates-')))
    const authority = createAuthority('the authority')
    const [client, server] = [authority.issue('client'), authority.issue('engine', [address])]
    const files = {
      ca: authority.cert,
      cert: client.cert,
      key: client.key,
      'server-cert': server.cert,
      'server-key': server.key,
    }
    for (const [name, text] of Object.entries(files)) await writeFile(certificates.file(name), text)
    return certificates
  }

  file(name: string): string {
    return join(this.directory, `${name}.pem`)
  }

  async ofServer(): Promise<{ readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }> {
    const read = (name: string) => readFile(this.file(name))
    return { ca: await read('ca'), cert: await read('server-cert'), key: await read('server-key') }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.directory, { recursive: true })
  }
}
