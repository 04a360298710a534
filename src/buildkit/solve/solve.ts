import { randomBytes } from 'node:crypto'
import type { Client } from '@grpc/grpc-js'
import { Control } from '../gen/control_pb.ts'
import { callServerStream, callUnary, explainCallFailure, isServiceError } from '../grpc.ts'
import { toSolveStatus } from '../progress/status.ts'
import { openSession } from '../session/session.ts'
import { configuredResult, solveAsFrontend } from './as-frontend.ts'
import { explainFailure, SolveCancelledError, SolveTrace } from './failure.ts'
import { localCaches } from './local-caches.ts'
import { type SolveRequest, type SolveResult, solveMessage } from './request.ts'

/** How long a solve that ended waits for the last words of its steps: with some heard already, and with none. */
const LAST_STATUS_MS = 3_000
const FIRST_STATUS_MS = 300

/**
 * Solves on the engine and resolves when the result is exported.
 * @throws SolveError, SolveCancelledError, EngineGoneError, BuildkitUnsupportedError, CacheDirectoryError
 */
export async function solve(client: Client, given: SolveRequest): Promise<SolveResult> {
  const { signal, exporter, attachables = [] } = given
  if (signal?.aborted) throw cancelled(signal)
  const receiver = exporter?.attachable === undefined ? [] : [exporter.attachable]
  const caches = await localCaches(given)
  const request = { ...given, ...caches.request }
  await using session = await openSession(client, [...attachables, ...receiver, ...caches.attachables])
  const ref = randomBytes(16).toString('hex')
  const trace = new SolveTrace()
  const following = followStatus(client, ref, { request, trace })
  try {
    const message = solveMessage(request, { ref, session: session.id })
    const { imageConfig } = request
    const { exporterResponse } =
      imageConfig === undefined
        ? await callUnary(client, Control.method.solve, message, { signal })
        : await solveAsFrontend(client, {
            ref,
            message,
            signal,
            serve: (ask) => configuredResult(ask, request, imageConfig),
          })
    await following.end(LAST_STATUS_MS)
    await caches.record(exporterResponse)
    return { exporterResponse }
  } catch (error) {
    // The job ends the stream when its steps have ended; a solve that failed before its job existed would hang here.
    await following.end(trace.heard ? LAST_STATUS_MS : FIRST_STATUS_MS).catch(() => {})
    if (signal?.aborted) throw cancelled(signal)
    const connectionError = explainCallFailure(client, error)
    if (connectionError !== undefined || !isServiceError(error)) throw connectionError ?? error
    const { definition } = request
    throw explainFailure({ message: error.details, trace, definition, sessionFailure: session.failures[0] })
  }
}

interface Following {
  /**
   * Waits for the last status, no longer than that. Rejects only with what the caller's `onStatus` threw: of what went
   * wrong on the engine the solve tells better than this stream.
   */
  end(patienceMs: number): Promise<void>
}

function followStatus(
  client: Client,
  ref: string,
  { request, trace }: { request: SolveRequest; trace: SolveTrace },
): Following {
  const stop = new AbortController()
  const follow = async () => {
    for await (const response of callServerStream(client, Control.method.status, { ref }, { signal: stop.signal })) {
      const status = toSolveStatus(response)
      trace.observe(status)
      request.onStatus?.(status)
    }
  }
  const ended = follow().catch((error: unknown) => {
    if (!isServiceError(error)) throw error
  })
  // Awaited at the end, on every way; until then its failure is nobody's yet.
  ended.catch(() => {})
  return {
    end: async (patienceMs) => {
      const timer = setTimeout(() => stop.abort(), patienceMs)
      await ended.finally(() => clearTimeout(timer))
    },
  }
}

function cancelled(signal: AbortSignal): SolveCancelledError {
  return new SolveCancelledError({
    what: 'the build was cancelled',
    cause: signal.reason,
    remedy: 'start it again: what was finished is in the build cache',
  })
}
