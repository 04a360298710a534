import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { type Client, Metadata } from '@grpc/grpc-js'
import { Control, type SolveResponse } from '../gen/control_pb.ts'
import { LLBBridge, type ResultSchema } from '../gen/gateway_pb.ts'
import { callUnary } from '../grpc/call.ts'
import { isServiceError } from '../grpc/failure.ts'
import type { Method } from '../grpc/method.ts'

/** Asks the engine what a frontend may ask it, in the name of the solve that it serves. */
export type AskBridge = <I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
  request: MessageInitShape<I>,
) => Promise<MessageShape<O>>

export interface FrontendSolve {
  readonly ref: string
  /** What the solve as a whole is asked, with neither graph nor frontend. */
  readonly message: MessageInitShape<typeof Control.method.solve.input>
  readonly signal: AbortSignal | undefined
  /** The frontend: makes the result, which the solve then exports. */
  readonly serve: (ask: AskBridge) => Promise<MessageInitShape<typeof ResultSchema>>
}

/**
 * Solves with ourselves as the frontend: the engine asks nobody else what to build, waits for what `serve` hands in, and exports
 * that. Any engine from 20.10 on can do it.
 */
export async function solveAsFrontend(client: Client, solve: FrontendSolve): Promise<SolveResponse> {
  const { message, signal } = solve
  const stop = new AbortController()
  const solving = callUnary(client, Control.method.solve, message, { signal })
  const serving = serve(client, solve, AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]))
  // Whatever ended it, the solve tells.
  serving.catch(() => {})
  try {
    return await solving
  } finally {
    stop.abort()
  }
}

async function serve(client: Client, { ref, serve: makeResult }: FrontendSolve, signal: AbortSignal): Promise<void> {
  const metadata = new Metadata()
  // The engine waits for the solve of this name, should this call be the first to arrive.
  metadata.set('buildkit-controlapi-buildid', ref)
  const ask: AskBridge = (method, request) => callUnary(client, method, request, { signal, metadata })
  try {
    const result = await makeResult(ask)
    await ask(LLBBridge.method.return, { result })
  } catch (error) {
    if (signal.aborted || !isServiceError(error)) throw error
    await ask(LLBBridge.method.return, { error: { code: error.code, message: error.details } })
  }
}
