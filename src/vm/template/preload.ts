import { engineClient, loadImages, removeImage, tagImage } from '../../engine/index.ts'
import type { ForwardedSocket } from '../../forward/index.ts'
import type { Preload } from '../../image/index.ts'
import type { Logger } from '../../log/index.ts'
import type { BootOptions } from '../boot/boot-options.ts'
import type { Guest } from '../boot/guest.ts'
import { admit, introduce, makeGuestKeys } from '../boot/introduce.ts'
import type { Place } from '../boot/place.ts'
import { connectToGuest, forwardDocker } from '../boot/reach.ts'

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

/**
 * The same for a guest that is to be saved. The keys to it are good for this once: the guest forgets them, and no clone ever uses
 * them. @throws ImageTransferError
 */
export async function preloadBeforeSave(
  preloads: readonly Preload[],
  guest: Guest,
  { options, place }: { readonly options: BootOptions; readonly place: Place },
): Promise<void> {
  const { control, signal } = guest
  const keys = makeGuestKeys()
  admit(keys, control)
  await introduce({ control, hostname: options.hostname, signal })
  const connection = await connectToGuest(options, { ...guest, keys }, place)
  const socket = await forwardDocker(options, guest, { connection, place })
  await preloadImages(preloads, socket, { log: options.log, signal })
  await socket.close()
  await connection.close()
  await control.forgetKeys(signal)
}
