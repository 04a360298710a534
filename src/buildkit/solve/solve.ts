import { randomBytes } from 'node:crypto'
import type { Client } from '@grpc/grpc-js'
import { Control } from '../gen/control_pb.ts'
import { callServerStream, callUnary } from '../grpc/call.ts'
import { explainCallFailure, isServiceError } from '../grpc/failure.ts'
import { toSolveStatus } from '../progress/status.ts'
import { openSession } from '../session/session.ts'
import { SolveCancelledError } from './errors.ts'
import { explainFailure } from './failure.ts'
import { type SolveRequest, type SolveResult, solveMessage } from './request.ts'
import { SolveTrace } from './trace.ts'

/** How long a failed solve waits for the last words of its steps: with some heard already, and with none. */
const LAST_STATUS_MS = 3_000
const FIRST_STATUS_MS = 300

/**
 * Solves on the engine and resolves when the result is exported.
 * @throws SolveError, SolveCancelledError, EngineGoneError, BuildkitUnsupportedError
 */
export async function solve(client: Client, request: SolveRequest): Promise<SolveResult> {
  const { signal, exporter, attachables = [] } = request
  if (signal?.aborted) throw cancelled(signal)
  const receiver = exporter?.attachable === undefined ? [] : [exporter.attachable]
  await using session = await openSession(client, [...attachables, ...receiver])
  const ref = randomBytes(16).toString('hex')
  const trace = new SolveTrace()
  const statusDone = new AbortController()
  const statuses = followStatus(client, ref, { request, trace, signal: statusDone.signal })
  // Awaited below, on every way; until then its failure is nobody's yet.
  statuses.catch(() => {})
  try {
    const message = solveMessage(request, { ref, session: session.id })
    const { exporterResponse } = await callUnary(client, Control.method.solve, message, { signal })
    await statuses
    return { exporterResponse }
  } catch (error) {
    // The job ends the stream when its steps have ended; a solve that failed before its job existed would hang here.
    const timer = setTimeout(() => statusDone.abort(), trace.heard ? LAST_STATUS_MS : FIRST_STATUS_MS)
    await Promise.allSettled([statuses])
    clearTimeout(timer)
    if (signal?.aborted) throw cancelled(signal)
    const connectionError = explainCallFailure(client, error)
    if (connectionError !== undefined || !isServiceError(error)) throw connectionError ?? error
    const { definition } = request
    throw explainFailure({ message: error.details, trace, definition, sessionFailure: session.failures[0] })
  } finally {
    statusDone.abort()
  }
}

interface Following {
  readonly request: SolveRequest
  readonly trace: SolveTrace
  readonly signal: AbortSignal
}

/** Never rejects for what the stream does: the solve tells better what went wrong. */
async function followStatus(client: Client, ref: string, { request, trace, signal }: Following): Promise<void> {
  const responses = callServerStream(client, Control.method.status, { ref }, { signal })
  try {
    for await (const response of responses) {
      const status = toSolveStatus(response)
      trace.observe(status)
      request.onStatus?.(status)
    }
  } catch (error) {
    if (!isServiceError(error)) throw error
  }
}

function cancelled(signal: AbortSignal): SolveCancelledError {
  return new SolveCancelledError({
    what: 'the build was cancelled',
    cause: signal.reason,
    remedy: 'start it again: what was finished is in the build cache',
  })
}
