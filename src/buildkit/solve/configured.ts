import type { MessageInitShape } from '@bufbuild/protobuf'
import { LLBBridge, type ResultSchema } from '../gen/gateway_pb.ts'
import { definitionMessage } from '../llb/index.ts'
import type { AskBridge } from './as-frontend.ts'
import { type ImageConfig, ociImageConfig } from './image-config.ts'
import { cacheMessages, type SolveRequest } from './request.ts'

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
