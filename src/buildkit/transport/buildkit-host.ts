import { BuildkitUnreachableError } from '../connection-errors.ts'
import type { Endpoint, TlsMaterial } from './endpoint.ts'

/**
 * The endpoint that an address such as that of `BUILDKIT_HOST` means: `unix:///run/buildkit/buildkitd.sock` or
 * `tcp://host:port`.
 * @throws BuildkitUnreachableError for any other
 */
export function buildkitdEndpoint(address: string, tls?: TlsMaterial): Endpoint {
  const { protocol, pathname, hostname, port } = parse(address)
  if (protocol === 'unix:' && pathname.length > 1)
    return { kind: 'buildkitd', socketPath: decodeURIComponent(pathname) }
  if (protocol === 'tcp:' && port !== '')
    return { kind: 'buildkitd', host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), tls }
  throw unknown(address)
}

function parse(address: string): URL {
  if (!URL.canParse(address)) throw unknown(address)
  return new URL(address)
}

function unknown(address: string): BuildkitUnreachableError {
  return new BuildkitUnreachableError({
    what: `the address of a buildkitd is not understood: ${JSON.stringify(address)}`,
    remedy: 'give unix:///path/to/socket or tcp://host:port',
  })
}
