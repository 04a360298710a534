import type { ForwardedSocket } from '../../forward/index.ts'
import { dockerdAt } from '../../host/index.ts'
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
  const { images } = dockerdAt(path)
  for (const { name, open, rename } of preloads) {
    log.info(`loading the image ${name} into the guest`)
    await images.load(await open(signal), { signal })
    if (rename === undefined) continue
    await images.tag(rename.from, rename.to)
    await images.remove(rename.from)
  }
}
