import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { type ChannelOptions, credentials } from '@grpc/grpc-js'
import { grpcTarget, type TcpAddress, type TlsMaterial } from './endpoint.ts'
import { channelOptions, type Transport } from './transport.ts'

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
