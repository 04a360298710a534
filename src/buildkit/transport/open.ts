import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { credentials } from '@grpc/grpc-js'
import { neverAborted, orAborted } from '../../lifetime/index.ts'
import { BuildkitUnreachableError } from '../grpc.ts'
import { type DirectAddress, type Endpoint, grpcTarget, type TlsMaterial } from './endpoint.ts'
import { channelOptions, type Transport, tlsTransport } from './transport.ts'
import { secure, UpgradeCredentials, UpgradeRefused, upgradeToH2c } from './upgrade.ts'

/** An endpoint after dialling is arranged for. */
export type DirectEndpoint = { readonly kind: 'docker' | 'buildkitd' } & DirectAddress

export interface OpenOptions {
  readonly signal?: AbortSignal | undefined
}

/**
 * Finds the transport an endpoint speaks. A Docker engine up to 29.1 wants `POST /grpc` upgraded; later ones drop that for
 * HTTP/2 on the API socket, which earlier ones do not understand. So the upgrade is tried first, on a connection that
 * is thrown away.
 */
export async function openTransport(
  endpoint: DirectEndpoint,
  { signal = neverAborted() }: OpenOptions = {},
): Promise<Transport> {
  if (endpoint.kind === 'docker' && (await upgrades(endpoint, signal))) return upgradeTransport(endpoint)
  return 'host' in endpoint && endpoint.tls !== undefined
    ? tlsTransport(endpoint, endpoint.tls)
    : plainTransport(endpoint)
}

export function upgradeTransport(address: DirectAddress): Transport {
  const tls = 'host' in address && address.tls !== undefined ? { host: address.host, material: address.tls } : undefined
  return {
    kind: 'upgrade',
    target: grpcTarget(address),
    credentials: new UpgradeCredentials(tls),
    options: channelOptions,
  }
}

/** HTTP/2 from the first byte, in the clear: on a unix socket, or where the network is trusted. */
export function plainTransport(address: DirectAddress): Transport {
  return {
    kind: 'plain',
    target: grpcTarget(address),
    credentials: credentials.createInsecure(),
    options: channelOptions,
  }
}

async function upgrades(address: DirectAddress, signal: AbortSignal): Promise<boolean> {
  // What waits for the connection, the handshake or the answer reports its errors.
  const socket = dial(address).on('error', () => {})
  try {
    await orAborted(upgrade(socket, address), signal)
    return true
  } catch (error) {
    if (error instanceof UpgradeRefused) return false
    throw error
  } finally {
    socket.destroy()
  }
}

async function upgrade(socket: Socket, address: DirectAddress): Promise<void> {
  await once(socket, 'connect')
  const carrier =
    'host' in address && address.tls !== undefined ? await secure(socket, address.host, address.tls) : socket
  await upgradeToH2c(carrier)
}

function dial(address: DirectAddress): Socket {
  return 'socketPath' in address
    ? connect({ path: address.socketPath })
    : connect({ host: address.host, port: address.port })
}

export interface BuildkitdEndpointOptions {
  /** For `tcp://`. @default in the clear */
  readonly tls?: TlsMaterial | undefined
  /** For `docker-container://`: connects to the buildkitd in that container. */
  readonly dialContainer?: ((container: string) => Promise<Duplex>) | undefined
}

/**
 * The endpoint that an address such as that of `BUILDKIT_HOST` means: `unix:///run/buildkit/buildkitd.sock`,
 * `tcp://host:port` or `docker-container://name`.
 * @throws BuildkitUnreachableError for any other
 */
export function buildkitdEndpoint(address: string, { tls, dialContainer }: BuildkitdEndpointOptions = {}): Endpoint {
  const { protocol, pathname, hostname, port } = parse(address)
  if (protocol === 'unix:' && pathname.length > 1)
    return { kind: 'buildkitd', socketPath: decodeURIComponent(pathname) }
  if (protocol === 'tcp:' && port !== '')
    return { kind: 'buildkitd', host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), tls }
  if (protocol === 'docker-container:' && hostname !== '' && dialContainer !== undefined)
    return { kind: 'buildkitd', name: address, dial: () => dialContainer(hostname) }
  throw notUnderstood(address)
}

function parse(address: string): URL {
  if (!URL.canParse(address)) throw notUnderstood(address)
  return new URL(address)
}

function notUnderstood(address: string): BuildkitUnreachableError {
  return new BuildkitUnreachableError({
    what: `the address of a buildkitd is not understood: ${JSON.stringify(address)}`,
    remedy: 'give unix:///path/to/socket, tcp://host:port or docker-container://name',
  })
}
