import { engineClient } from '../../engine/index.ts'
import type { Preload } from '../../image/index.ts'
import type { BootOptions } from '../boot/boot-options.ts'
import type { Guest } from '../boot/guest.ts'
import { admit, introduce, makeGuestKeys } from '../boot/introduce.ts'
import type { Place } from '../boot/place.ts'
import { connectToGuest, forwardDocker } from '../boot/reach.ts'
import { preloadImages } from './preload.ts'

/**
 * Does with a guest that is to be saved what is first done with every clone: lets its owner in, and asks its dockerd. What a kernel
 * does at the first connection of its life (it patches its own code, for one), and what it remembers of files, is then behind
 * each clone. The way to load images is the same.
 *
 * The keys are good for this once: the guest forgets them, and no clone ever uses them.
 * @throws ImageTransferError; what a cold boot throws
 */
export async function rehearse(
  preloads: readonly Preload[],
  guest: Guest,
  { options, place }: { readonly options: BootOptions; readonly place: Place },
): Promise<void> {
  const { control, signal } = guest
  const { timeline, log, hostname } = options
  const keys = makeGuestKeys()
  admit(keys, control)
  await introduce({ control, hostname, signal })
  const connection = await connectToGuest(options, { ...guest, keys }, place)
  const socket = await forwardDocker(options, guest, { connection, place })
  if (preloads.length > 0) {
    await timeline.time('preload', () => preloadImages(preloads, socket, { log, signal }))
  }
  await engineClient({ kind: 'unix', path: socket.path }).docker.ping()
  await socket.close()
  await connection.close()
  await control.forgetKeys(signal)
}
