import type { Duplex } from 'node:stream'
import { BuildkitUnreachableError } from '../connection-errors.ts'
import type { Endpoint, TlsMaterial } from './endpoint.ts'

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
  throw unknown(address)
}

function parse(address: string): URL {
  if (!URL.canParse(address)) throw unknown(address)
  return new URL(address)
}

function unknown(address: string): BuildkitUnreachableError {
  return new BuildkitUnreachableError({
    what: `the address of a buildkitd is not understood: ${JSON.stringify(address)}`,
    remedy: 'give unix:///path/to/socket, tcp://host:port or docker-container://name',
  })
}
