import { type Client, status as code, connectivityState, type ServiceError } from '@grpc/grpc-js'
import type { TestkernelsError } from '../../errors/index.ts'
import { BuildkitUnsupportedError, EngineGoneError } from '../connection-errors.ts'

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
