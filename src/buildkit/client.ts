import { Client } from '@grpc/grpc-js'
import { type Logger, silentLogger } from '../log/index.ts'
import { unreachable } from './connection-errors.ts'
import type { CallOptions } from './grpc/call.ts'
import type { SolveRequest, SolveResult } from './solve/request.ts'
import { solve } from './solve/solve.ts'
import {
  diskUsage,
  listWorkers,
  type PruneOptions,
  prune,
  type UsageOptions,
  type UsageRecord,
  type Worker,
} from './store.ts'
import { describeEndpoint, type Endpoint } from './transport/endpoint.ts'
import { openTransport } from './transport/open.ts'

/** A connected BuildKit. */
export interface Buildkit extends AsyncDisposable {
  /** How it is spoken to. */
  readonly transport: 'upgrade' | 'plain' | 'tls'
  /**
   * Solves and exports.
   * @throws SolveError, SolveCancelledError, EngineGoneError, BuildkitUnsupportedError
   */
  solve(request: SolveRequest): Promise<SolveResult>
  /** What the build cache holds. */
  diskUsage(options?: UsageOptions): Promise<UsageRecord[]>
  /** Removes from the build cache, and tells what it removed. */
  prune(options?: PruneOptions): Promise<UsageRecord[]>
  listWorkers(options?: CallOptions): Promise<Worker[]>
}

export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
}

/**
 * Connects to the BuildKit at `endpoint`, and makes sure that one answers.
 * @throws BuildkitUnreachableError
 */
export async function connectBuildkit(endpoint: Endpoint, options: ConnectOptions = {}): Promise<Buildkit> {
  const { signal, log = silentLogger } = options
  const client = await open(endpoint, signal)
  log.debug(`buildkit: ${describeEndpoint(endpoint)} answers over ${client.transport}`)
  return {
    transport: client.transport,
    solve: (request) => solve(client.grpc, request),
    diskUsage: (usage) => diskUsage(client.grpc, usage),
    prune: (what) => prune(client.grpc, what),
    listWorkers: (call) => listWorkers(client.grpc, call),
    [Symbol.asyncDispose]: async () => client.grpc.close(),
  }
}

async function open(endpoint: Endpoint, signal: AbortSignal | undefined) {
  try {
    const { kind, target, credentials, options } = await openTransport(endpoint, { signal })
    const grpc = new Client(target, credentials, options)
    try {
      await listWorkers(grpc, { signal })
      return { grpc, transport: kind }
    } catch (error) {
      grpc.close()
      throw error
    }
  } catch (cause) {
    signal?.throwIfAborted()
    throw unreachable(endpoint, cause)
  }
}
