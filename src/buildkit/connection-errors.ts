import { TestkernelsError } from '../errors/index.ts'
import { describeEndpoint, type Endpoint } from './transport/endpoint.ts'

/** No BuildKit answered at the endpoint. */
export class BuildkitUnreachableError extends TestkernelsError {
  readonly code = 'BUILDKIT_UNREACHABLE'
}

/** The connection to the engine ended while it worked for us. */
export class EngineGoneError extends TestkernelsError {
  readonly code = 'ENGINE_GONE'
}

/** This engine's BuildKit does not know what was asked of it. */
export class BuildkitUnsupportedError extends TestkernelsError {
  readonly code = 'BUILDKIT_UNSUPPORTED'
}

export function unreachable(endpoint: Endpoint, cause: unknown): BuildkitUnreachableError {
  return new BuildkitUnreachableError({
    what: `no BuildKit answers for ${describeEndpoint(endpoint)}`,
    cause,
    remedy: remedyFor(endpoint, cause),
  })
}

function remedyFor(endpoint: Endpoint, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EACCES') return 'join the group that owns the socket (usually docker), or run as root'
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return endpoint.kind === 'docker'
      ? 'start the engine: systemctl start docker'
      : 'start buildkitd, or correct BUILDKIT_HOST'
  return endpoint.kind === 'docker'
    ? 'use an engine from 20.10 on that has BuildKit, or name a buildkitd in BUILDKIT_HOST'
    : 'check the address, and for TLS the certificates and the server name'
}
