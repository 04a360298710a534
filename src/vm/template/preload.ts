import { engineClient, loadImages, removeImage, tagImage } from '../../engine/index.ts'
import type { ForwardedSocket } from '../../forward/index.ts'
import type { Preload } from '../../image/index.ts'
import type { Logger } from '../../log/index.ts'

export interface PreloadOptions {
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Loads images into a guest's dockerd. @throws ImageTransferError */
export async function preloadImages(
  preloads: readonly Preload[],
  { path }: Pick<ForwardedSocket, 'path'>,
  { log, signal }: PreloadOptions,
): Promise<void> {
  const dockerd = engineClient({ kind: 'unix', path })
  for (const { name, open, rename } of preloads) {
    log.info(`loading the image ${name} into the guest`)
    await loadImages(dockerd, await open(signal), { signal })
    if (rename === undefined) continue
    await tagImage(dockerd, rename.from, rename.to)
    await removeImage(dockerd, rename.from)
  }
}
