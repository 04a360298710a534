import type { MessageInitShape } from '@bufbuild/protobuf'
import { type Client, Metadata } from '@grpc/grpc-js'
import { Control, type SolveResponse } from '../gen/control_pb.ts'
import { LLBBridge } from '../gen/gateway_pb.ts'
import { callUnary } from '../grpc/call.ts'
import { isServiceError } from '../grpc/failure.ts'
import { definitionMessage } from '../llb/index.ts'
import { type ImageConfig, ociImageConfig } from './image-config.ts'
import { cacheMessages, type SolveRequest } from './request.ts'

export interface FrontendSolve {
  readonly ref: string
  /** What the solve as a whole is asked, without a graph. */
  readonly message: MessageInitShape<typeof Control.method.solve.input>
  readonly request: SolveRequest & { readonly imageConfig: ImageConfig }
}

/**
 * Solves with ourselves as the frontend: the engine asks nobody what to build, and we hand in the graph and, with its result,
 * the configuration of the image. There is no other way to give one to a graph that every engine from 20.10 on takes, and one
 * solve keeps inline cache and image together.
 */
export async function solveAsFrontend(
  client: Client,
  { ref, message, request }: FrontendSolve,
): Promise<SolveResponse> {
  const { signal } = request
  const stop = new AbortController()
  const solving = callUnary(client, Control.method.solve, message, { signal })
  const serving = serve(client, ref, request, AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]))
  // Whatever ended it, the solve tells.
  serving.catch(() => {})
  try {
    return await solving
  } finally {
    stop.abort()
  }
}

async function serve(client: Client, ref: string, request: FrontendSolve['request'], signal: AbortSignal) {
  const headers = new Metadata()
  // The engine waits for the solve of this name, should this call be the first to arrive.
  headers.set('buildkit-controlapi-buildid', ref)
  const call = { signal, metadata: headers }
  try {
    const { definition, cacheImports, imageConfig } = request
    const { result } = await callUnary(
      client,
      LLBBridge.method.solve,
      {
        ...(definition && { definition: definitionMessage(definition) }),
        allowResultReturn: true,
        allowResultArrayRef: true,
        cacheImports: cacheMessages(cacheImports),
      },
      call,
    )
    const config = Buffer.from(JSON.stringify(ociImageConfig(imageConfig)))
    const metadata = { 'containerimage.config': config }
    // Without a result it is the empty graph.
    const returned = result === undefined ? { metadata } : { result: result.result, metadata }
    await callUnary(client, LLBBridge.method.return, { result: returned }, call)
  } catch (error) {
    if (signal.aborted || !isServiceError(error)) throw error
    await callUnary(client, LLBBridge.method.return, { error: { code: error.code, message: error.details } }, call)
  }
}
