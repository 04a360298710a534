import { llb } from '../../buildkit/graph.ts'
import { type Engine, imageId, type PullOptions, pullImage } from '../../engine/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Builder } from '../builder.ts'
import type { Ingredient } from './ingredient.ts'

export interface StoredImageContext {
  readonly engine: Engine
  readonly builder: Builder
  /** Directory of docker's config.json. */
  readonly dockerConfigDirectory: string
  /** For the pull. */
  readonly credentials: NonNullable<PullOptions['credentials']>
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * The file system of an image: from the engine's store, else pulled. The tag may move, so its id is what counts; for a buildkitd,
 * which sees no store, the digest in the registry.
 * @throws ImagePullError; ImageUnusableError
 */
export async function storedImage(
  ref: string,
  {
    name,
    engine,
    builder,
    credentials,
    dockerConfigDirectory,
    log,
    signal,
  }: StoredImageContext & { readonly name: string },
): Promise<Ingredient> {
  const { platform } = engine.arch
  if (builder.kind === 'buildkitd') {
    const { remoteDigest } = await import('../remote-digest.ts')
    const contentKey = await remoteDigest(ref, { builder, dockerConfigDirectory, signal })
    return { state: llb.image(ref, { platform, name }), contentKey }
  }
  const contentKey = (await imageId(engine, ref)) ?? (await pullImage(engine, ref, { credentials, log, signal }))
  return { state: llb.image(ref, { platform, name }), contentKey }
}
