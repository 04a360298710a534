import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { type Images, imageLabels } from '../host/index.ts'
import type { PreloadReference } from '../options/index.ts'
import type { DockerfileContext } from './recipes/dockerfile.ts'
import { contentKeyOf, registryCredentials, type StoredImageContext } from './recipes/ingredient.ts'

/** An image to be loaded into a guest. */
export interface Preload {
  /** For people. */
  readonly name: string
  /** Stands for its content. */
  readonly key: string
  /** What it is to be called in the guest, where the engine has it under a name of ours. */
  readonly rename?: { readonly from: string; readonly to: string }
  /** As `docker save` writes it. */
  open(signal: AbortSignal): Promise<Readable>
}

export type PreloadContext = StoredImageContext & DockerfileContext

/**
 * Sees to it that an image for a guest is there, on this machine: what the engine has is not pulled, so that no registry's limit
 * is met.
 * @throws ImagePullError; SolveError; LocalDirError
 */
export async function preparePreload(reference: PreloadReference, context: PreloadContext): Promise<Preload> {
  switch (reference.kind) {
    case 'tar': {
      const path = await realpath(reference.path)
      const key = JSON.stringify([path, await contentKeyOf(path)])
      return { name: reference.path, key, open: async (signal) => createReadStream(path, { signal }) }
    }
    case 'image': {
      const { host, dockerConfigDirectory, log, signal } = context
      const { images } = host
      const { ref } = reference
      const key =
        (await images.inspect(ref))?.id ??
        (await images.pull(ref, { credentials: registryCredentials(dockerConfigDirectory), log, signal }))
      return ofStore(images, ref, key)
    }
    case 'dockerfile': {
      const { buildDockerfile } = await import('./recipes/dockerfile.ts')
      const { tag, ...dockerfile } = reference
      // The engine's own image of that name is the user's.
      const ref = `testkernels/preload:${createHash('sha256').update(JSON.stringify(dockerfile)).digest('hex').slice(0, 16)}`
      const digest = await buildDockerfile(dockerfile, { ...context, ref, labels: imageLabels('preload') })
      const { images } = context.host
      const rename = { from: ref, to: tag }
      return { ...ofStore(images, ref, (await images.inspect(ref))?.id ?? digest), name: tag, rename }
    }
  }
}

/** By its name and not by its id, so that it has the name in the guest as well. */
function ofStore(images: Images, ref: string, id: string): Preload {
  return { name: ref, key: JSON.stringify([ref, id]), open: (signal) => images.save([ref], { signal }) }
}
