import { type Client, status as code, connectivityState, type ServiceError } from '@grpc/grpc-js'
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

export function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && 'details' in thrown && 'metadata' in thrown
}

/** Our error for a call that failed because of the connection or the engine, and not because of what it asked for. */
export function explainCallFailure(client: Client, thrown: unknown): TestkernelsError | undefined {
  if (!isServiceError(thrown)) return undefined
  // The engine itself may say "unavailable" too, of a registry; then the connection is still there.
  if (thrown.code === code.UNAVAILABLE && client.getChannel().getConnectivityState(false) !== connectivityState.READY)
    return new EngineGoneError({
      what: 'the connection to the engine ended before it answered',
      cause: thrown,
      remedy:
        "see whether the engine runs, and its log for why it stopped: journalctl -u docker, or the engine's container",
    })
  if (thrown.code === code.UNIMPLEMENTED)
    return new BuildkitUnsupportedError({
      what: "the engine's BuildKit does not know this call",
      cause: thrown,
      remedy: 'use a newer engine (Docker 20.10 is the oldest that works), or leave out what it does not know',
    })
  return undefined
}
