import type { Duplex } from 'node:stream'

/** How a server is reached. */
export type Address = DirectAddress | DialAddress

/** Where a server listens. */
export type DirectAddress = SocketAddress | TcpAddress

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

/** Connections that somebody else makes: through `docker exec`, through SSH. */
export interface DialAddress {
  /** What people call it: `docker-container://builder`. */
  readonly name: string
  dial(): Promise<Duplex>
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
  return `${endpoint.kind === 'docker' ? 'the Docker engine' : 'buildkitd'} at ${describeAddress(endpoint)}`
}

function describeAddress(address: Address): string {
  if ('dial' in address) return address.name
  if ('socketPath' in address) return `unix://${address.socketPath}`
  return `tcp://${bracketed(address.host)}:${address.port}`
}

/** Target as grpc-js spells it. */
export function grpcTarget(address: DirectAddress): string {
  return 'socketPath' in address ? `unix:${address.socketPath}` : `dns:${bracketed(address.host)}:${address.port}`
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
