import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js'
import { grpcTarget, type TcpAddress, type TlsMaterial } from './endpoint.ts'

/** A way to carry HTTP/2 to a BuildKit: all that a grpc-js client is made of. */
export interface Transport {
  readonly kind: 'upgrade' | 'plain' | 'tls'
  readonly target: string
  readonly credentials: ChannelCredentials
  readonly options: ChannelOptions
}

export const channelOptions: ChannelOptions = {
  // The target of a unix socket is a path, which is no valid :authority.
  'grpc.default_authority': 'localhost',
  'grpc.max_receive_message_length': -1,
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
