/** Where a server listens. */
export type Address = SocketAddress | TcpAddress

export interface SocketAddress {
  /** Absolute path of a unix socket. */
  readonly socketPath: string
}

export interface TcpAddress {
  readonly host: string
  readonly port: number
  /** Talk TLS; without it the connection is in the clear. */
  readonly tls?: TlsMaterial | undefined
}

/** PEM texts. A `cert` with its `key` makes it mutual TLS. */
export interface TlsMaterial {
  /** Certificate authorities to trust. @default those of Node */
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** The name the server's certificate is checked against. @default the host connected to */
  readonly serverName?: string | undefined
}

/** A BuildKit: the one inside a Docker engine, or a buildkitd that stands alone. */
export type Endpoint = ({ readonly kind: 'docker' } & Address) | ({ readonly kind: 'buildkitd' } & Address)

export function describeEndpoint(endpoint: Endpoint): string {
  const where =
    'socketPath' in endpoint ? `unix://${endpoint.socketPath}` : `tcp://${bracketed(endpoint.host)}:${endpoint.port}`
  return `${endpoint.kind === 'docker' ? 'the Docker engine' : 'buildkitd'} at ${where}`
}

/** Target as grpc-js spells it. */
export function grpcTarget(address: Address): string {
  return 'socketPath' in address ? `unix:${address.socketPath}` : `dns:${bracketed(address.host)}:${address.port}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
