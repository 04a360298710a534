import { llb } from '../../buildkit/graph.ts'
import { type Engine, imageId, type PullOptions, pullImage } from '../../engine/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Ingredient } from './ingredient.ts'

export interface StoredImageContext {
  readonly engine: Engine
  /** For the pull. */
  readonly credentials: NonNullable<PullOptions['credentials']>
  readonly log: Logger
  readonly signal: AbortSignal
}

/** The file system of an image: from the engine's store, else pulled. The tag may move, so its id is what counts. */
export async function storedImage(
  ref: string,
  { name, engine, credentials, log, signal }: StoredImageContext & { readonly name: string },
): Promise<Ingredient> {
  const contentKey = (await imageId(engine, ref)) ?? (await pullImage(engine, ref, { credentials, log, signal }))
  return { state: llb.image(ref, { name }), contentKey }
}
