import { Client } from '@grpc/grpc-js'
import { Disposals, startDeadline, waitingFor } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { type CallOptions, unreachable } from './grpc.ts'
import { type RemoteImage, type RemoteImageRequest, remoteImage } from './solve/as-frontend.ts'
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
import { type DirectEndpoint, openTransport } from './transport/open.ts'
import { type Relay, startRelay } from './transport/transport.ts'

/** A connected BuildKit. */
export interface Buildkit extends AsyncDisposable {
  /** How it is spoken to. */
  readonly transport: 'upgrade' | 'plain' | 'tls'
  /**
   * Solves and exports.
   * @throws SolveError, SolveCancelledError, EngineGoneError, BuildkitUnsupportedError
   */
  solve(request: SolveRequest): Promise<SolveResult>
  /** What a registry says of an image; undefined when that cannot be had. */
  remoteImage(request: RemoteImageRequest): Promise<RemoteImage | undefined>
  /** What the build cache holds. */
  diskUsage(options?: UsageOptions): Promise<UsageRecord[]>
  /** Removes from the build cache, and tells what it removed. */
  prune(options?: PruneOptions): Promise<UsageRecord[]>
  listWorkers(options?: CallOptions): Promise<Worker[]>
}

/** On a machine at rest it answers at once; a builder in a container may have to be started. */
const CONNECT_DEADLINE_MS = 30_000

export interface ConnectOptions {
  /** Longest wait until it answers, in milliseconds. @default 30_000. @throws BuildkitUnreachableError */
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
}

/**
 * Connects to the BuildKit at `endpoint`, and makes sure that one answers.
 * @throws BuildkitUnreachableError
 */
export async function connectBuildkit(endpoint: Endpoint, options: ConnectOptions = {}): Promise<Buildkit> {
  const { connectTimeoutMs = CONNECT_DEADLINE_MS, signal, log = silentLogger } = options
  using _wait = waitingFor(`BuildKit to answer at ${describeEndpoint(endpoint)}`)
  using deadline = startDeadline({
    ms: connectTimeoutMs,
    onPassed: () => new Error(`it did not answer within ${connectTimeoutMs / 1000} s`),
    signal,
  })
  const disposals = new Disposals()
  const { direct, relay } = await makeDirect(endpoint, disposals)
  try {
    const { kind, target, credentials, options: channel } = await openTransport(direct, { signal: deadline.signal })
    const grpc = new Client(target, credentials, channel)
    disposals.defer('the BuildKit client', () => grpc.close())
    await listWorkers(grpc, { signal: deadline.signal })
    log.debug(`buildkit: ${describeEndpoint(endpoint)} answers over ${kind}`)
    return {
      transport: kind,
      solve: (request) => solve(grpc, request),
      remoteImage: (request) => remoteImage(grpc, request),
      diskUsage: (usage) => diskUsage(grpc, usage),
      prune: (what) => prune(grpc, what),
      listWorkers: (call) => listWorkers(grpc, call),
      [Symbol.asyncDispose]: () => disposals.dispose(),
    }
  } catch (cause) {
    await disposals.dispose()
    signal?.throwIfAborted()
    throw unreachable(endpoint, deadline.signal.aborted ? deadline.signal.reason : (relay?.failure ?? cause))
  }
}

async function makeDirect(
  endpoint: Endpoint,
  disposals: Disposals,
): Promise<{ direct: DirectEndpoint; relay?: Relay }> {
  if (!('dial' in endpoint)) return { direct: endpoint }
  const relay = disposals.use('the relay to BuildKit', await startRelay(() => endpoint.dial()))
  return { direct: { kind: endpoint.kind, socketPath: relay.socketPath }, relay }
}
