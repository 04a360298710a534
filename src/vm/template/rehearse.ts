import { dockerdAt } from '../../host/index.ts'
import { type Deadline, orAborted } from '../../lifetime/index.ts'
import { waitForDoor } from '../../streams/index.ts'
import type { Attempt } from '../boot/attempt.ts'
import type { Guest } from '../boot/booted-vm.ts'
import { publishedPorts } from '../boot/connect.ts'
import { introduce, makeGuestKeys, openDoor } from '../boot/introduce.ts'
import { dockerSocket, forwardDocker, sshInto, streamsInto } from '../boot/reach.ts'
import { preloading } from '../preload/lazy.ts'

/**
 * Does with a guest that is to be saved what is first done with every clone: opens its door, asks its dockerd, and connects to its SSH
 * server. What a kernel does at the first connection of its life (it patches its own code, for one), and what it remembers of files,
 * is then behind each clone. Images are loaded in between.
 *
 * The keys are good for this once: the guest forgets them, and no clone ever uses them.
 * @throws ImageTransferError; what a cold boot throws
 */
export async function rehearse(attempt: Attempt, guest: Guest, deadline: Pick<Deadline, 'pause'>): Promise<void> {
  const { control, signal } = guest
  const { preloads } = attempt.plan
  const { timeline, hostname } = attempt.start
  // Where this machine cannot reach it, no clone is of use.
  publishedPorts(guest, attempt)
  const keys = makeGuestKeys()
  openDoor(keys, control)
  const streams = streamsInto(attempt, guest, keys)
  await introduce({ control, keys, hostname, signal })
  await waitForDoor(streams, dockerSocket, signal)
  const ssh = sshInto(attempt, guest, { keys, streams })
  const socket = await forwardDocker(attempt, guest, streams)
  const dockerd = dockerdAt(socket.path)
  if (preloads.length > 0) {
    using _pause = deadline.pause()
    using _step = timeline.step('load images')
    const { loadImages, renameImages } = await preloading()
    await loadImages(attempt.plan, { control, places: guest.images, signal }, attempt.start)
    await renameImages(preloads, dockerd)
  }
  await orAborted(dockerd.ping(), signal)
  await socket.close()
  await ssh.connection()
  await ssh.close()
  await control.forgetKeys(signal)
}
