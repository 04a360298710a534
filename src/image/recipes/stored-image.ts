import { llb } from '../../buildkit/graph.ts'
import type { Builder, Host } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import { registryCredentials, remoteDigest } from '../registry.ts'
import type { Ingredient } from './ingredient.ts'

export interface StoredImageContext {
  readonly host: Pick<Host, 'arch' | 'images'>
  readonly builder: Builder
  /** Directory of docker's config.json. */
  readonly dockerConfigDirectory: string
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
  { name, host, builder, dockerConfigDirectory, log, signal }: StoredImageContext & { readonly name: string },
): Promise<Ingredient> {
  const { platform } = host.arch
  const { images } = host
  if (builder.kind === 'buildkitd') {
    const contentKey = await remoteDigest(ref, { builder, dockerConfigDirectory, signal })
    return { state: llb.image(ref, { platform, name }), contentKey }
  }
  const credentials = registryCredentials(dockerConfigDirectory)
  const contentKey = (await images.inspect(ref))?.id ?? (await images.pull(ref, { credentials, log, signal }))
  return { state: llb.image(ref, { platform, name }), contentKey }
}
