import { once } from 'node:events'
import { createServer, isIP, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js'
import { makeOwnedDirectory } from '../../files/index.ts'
import { grpcTarget, type TcpAddress, type TlsMaterial } from './endpoint.ts'

/** A way to carry HTTP/2 to a BuildKit: all that a grpc-js client is made of. */
export interface Transport {
  readonly kind: 'upgrade' | 'plain' | 'tls'
  readonly target: string
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
}

/** Of one message that is received, an answer's or a call's: four times what BuildKit itself takes. */
export const MESSAGE_MAX_BYTES = 64 * 1024 * 1024

export const channelOptions: ChannelOptions = {
  // The target of a unix socket is a path, which is no valid :authority.
  'grpc.default_authority': 'localhost',
  'grpc.max_receive_message_length': MESSAGE_MAX_BYTES,
  'grpc.max_send_message_length': -1,
  // A solve must never be sent twice behind our back, nor through a proxy.
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  // Without it two clients of one engine share a connection, and closing one does not close it.
  'grpc.use_local_subchannel_pool': 1,
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
}

/** Options for a TLS connection that carries HTTP/1.1, to be upgraded. */
export function tlsOptions(host: string, { ca, cert, key, serverName }: TlsMaterial): ConnectionOptions {
  const name = serverName ?? host
  return { ca, cert, key, host: name, ...(isIP(name) === 0 ? { servername: name } : {}) }
}

/** HTTP/2 over TLS, mutual when a client certificate is given. */
export function tlsTransport(address: TcpAddress, { ca, cert, key, serverName }: TlsMaterial): Transport {
  const named: ChannelOptions = serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }
  return {
    kind: 'tls',
    target: grpcTarget(address),
    credentials: credentials.createSsl(pem(ca), pem(key), pem(cert)),
    options: { ...channelOptions, ...named, 'grpc.default_authority': serverName ?? address.host },
  }
}

function pem(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text)
}

/** A unix socket of ours that leads to connections of another kind. */
export interface Relay extends AsyncDisposable {
  readonly socketPath: string
  /** Why the last connection could not be made: all that comes through the socket is that it ended. */
  readonly failure: unknown
}

const SOCKET = 'buildkitd.sock'

/**
 * Needed because grpc-js opens its own sockets and takes no others. Only this user may enter the directory of the socket.
 * @throws DirectoryUnusableError
 */
export async function startRelay(dial: () => Promise<Duplex>): Promise<Relay> {
  const place = { parent: tmpdir(), purpose: 'the sockets of builds', variable: 'TMPDIR' }
  const directory = await makeOwnedDirectory(place, SOCKET)
  const open = new Set<Duplex>()
  let failure: unknown
  const connect = async (near: Socket) => {
    open.add(near)
    near.on('error', () => {})
    const far = await dial().catch((error: unknown) => {
      failure = error
    })
    if (far === undefined) {
      near.destroy()
      return
    }
    open.add(far)
    far.on('error', () => near.destroy())
    // What it said last may still be on its way.
    far.on('close', () => near.destroySoon())
    near.on('close', () => far.destroy())
    near.pipe(far).pipe(near)
  }
  const server = createServer(connect)
  const socketPath = join(directory.path, SOCKET)
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    socketPath,
    get failure() {
      return failure
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const connection of open) connection.destroy()
      await directory[Symbol.asyncDispose]()
    },
  }
}
