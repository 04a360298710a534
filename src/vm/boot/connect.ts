import type { PublishedPorts } from '../../host/index.ts'
import { waitForDoor } from '../../streams/index.ts'
import { VmUnreachableError } from '../errors.ts'
import type { Attempt } from './attempt.ts'
import type { BootedVm, Guest } from './booted-vm.ts'
import { introduce, makeGuestKeys, openDoor } from './introduce.ts'
import { dockerSocket, forwardDocker, sshInto, streamsInto } from './reach.ts'

export interface Connecting {
  /** That of a restored guest answers already. */
  readonly dockerd: 'starting' | 'answers'
}

/** Makes a guest that runs its owner's: lets him in, tells it who it is, and gives its dockerd a socket on this machine. */
export async function connectVm(attempt: Attempt, guest: Guest, { dockerd }: Connecting): Promise<BootedVm> {
  const { timeline, hostname } = attempt.start
  const { control, signal, gone } = guest
  const published = publishedPorts(guest, attempt)
  const keys = makeGuestKeys()
  openDoor(keys, control)
  const streams = streamsInto(attempt, guest, keys)
  // Side by side, because all of them wait for the guest; whichever fails first is the error.
  await Promise.all([
    timeline.time('door', () => waitForDoor(streams, dockerSocket, signal)),
    timeline.time('identity', () => introduce({ control, keys, hostname, signal })).then(guest.proven),
    dockerd === 'starting' && timeline.time('dockerd', () => control.phase('ready', signal)),
  ])
  // Only now is the guest quick to answer.
  await timeline.time('clock', () => control.setClock(signal))
  const ssh = sshInto(attempt, guest, { keys, streams })
  const docker = await forwardDocker(attempt, guest, streams)
  const { runDirectory, console } = attempt
  const disposals = attempt.succeed()
  disposals.defer('watch', () => {
    guest.expectEnd()
    if (!gone.aborted) attempt.forgetConsole()
  })
  return { disposals, guest, ssh, docker, hostname, runDirectory, published, gone, console }
}

/** @throws VmUnreachableError where ports would have to be forwarded, which is done for none */
export function publishedPorts({ box }: Pick<Guest, 'box'>, { plan }: Attempt): PublishedPorts {
  if (box.published.kind === 'direct') return box.published
  throw new VmUnreachableError({
    what: "the VM cannot be reached: the Docker engine is on another machine, or in the engine's own network",
    entry: plan.entry.name,
    remedy: 'run on the machine of the engine, with an engine that is not rootless',
  })
}
