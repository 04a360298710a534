import { randomBytes } from 'node:crypto'
import type { DescMessage, MessageInitShape, MessageShape } from '@bufbuild/protobuf'
import { type Client, Metadata } from '@grpc/grpc-js'
import { Control, type SolveResponse } from '../gen/control_pb.ts'
import { LLBBridge, type ResultSchema } from '../gen/gateway_pb.ts'
import { callUnary, isServiceError, type Method } from '../grpc.ts'
import { definitionMessage } from '../llb/index.ts'
import type { Attachable } from '../session/services.ts'
import { openSession } from '../session/session.ts'
import { cacheMessages, type ImageConfig, ociImageConfig, type SolveRequest } from './request.ts'

/** Asks the engine what a frontend may ask it, in the name of the solve that it serves. */
type AskBridge = <I extends DescMessage, O extends DescMessage>(
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

/**
 * The result of a graph with the configuration that its image is to have. Only a frontend can give one on every engine; and one
 * solve for both keeps the cache in the image that the inline exporter writes.
 */
export async function configuredResult(
  ask: AskBridge,
  { definition, cacheImports }: SolveRequest,
  imageConfig: ImageConfig,
): Promise<MessageInitShape<typeof ResultSchema>> {
  const { result } = await ask(LLBBridge.method.solve, {
    ...(definition && { definition: definitionMessage(definition) }),
    allowResultReturn: true,
    allowResultArrayRef: true,
    // Else newer engines answer before anything is built, and of steps that are cancelled then they say no more.
    evaluate: true,
    cacheImports: cacheMessages(cacheImports),
  })
  const metadata = { 'containerimage.config': Buffer.from(JSON.stringify(ociImageConfig(imageConfig))) }
  // Without a result it is the empty graph.
  return result === undefined ? { metadata } : { result: result.result, metadata }
}

export interface RemoteImageRequest {
  readonly ref: string
  /** Such as credentials for the registry. */
  readonly attachables?: readonly Attachable[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a registry says of an image that is not pulled for it. */
export interface RemoteImage {
  /** `sha256:…` of its manifest. */
  readonly digest: string
  readonly labels: Readonly<Record<string, string>>
}

/** @returns undefined when there is no such image, or no such registry */
export async function remoteImage(client: Client, request: RemoteImageRequest): Promise<RemoteImage | undefined> {
  const { ref: name, attachables = [], signal } = request
  signal?.throwIfAborted()
  await using session = await openSession(client, attachables)
  const ref = randomBytes(16).toString('hex')
  let image: RemoteImage | undefined
  try {
    await solveAsFrontend(client, {
      ref,
      message: { ref, session: session.id },
      signal,
      serve: async (ask) => {
        // Not what the engine may have under that name: it can be of another time.
        const resolved = await ask(LLBBridge.method.resolveImageConfig, { ref: name, resolveMode: 'pull' })
        image = { digest: resolved.digest, labels: labelsIn(resolved.config) }
        return {}
      },
    })
  } catch {
    signal?.throwIfAborted()
  }
  return image
}

function labelsIn(config: Uint8Array): Record<string, string> {
  const parsed = JSON.parse(Buffer.from(config).toString()) as { config?: { Labels?: Record<string, string> | null } }
  return parsed.config?.Labels ?? {}
}
