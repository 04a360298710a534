import { VmUnreachableError } from '../errors.ts'
import type { Attempt } from './attempt.ts'
import type { BootedVm, Guest } from './booted-vm.ts'
import { admit, introduce, makeGuestKeys } from './introduce.ts'
import { connectToGuest, forwardDocker, type Silence } from './reach.ts'

export interface Connecting {
  /** That of a restored guest answers already. */
  readonly dockerd: 'starting' | 'answers'
  readonly silence?: Silence | undefined
}

/** Makes a guest that runs its owner's: lets him in, tells it who it is, and gives its dockerd a socket on this machine. */
export async function connectVm(attempt: Attempt, guest: Guest, connecting: Connecting): Promise<BootedVm> {
  const { timeline, hostname } = attempt.start
  const { control, signal, gone } = guest
  const address = addressOf(guest, attempt)
  const keys = makeGuestKeys()
  admit(keys, control)
  // Side by side, because all of them wait for the guest; whichever fails first is the error. Once the guest's SSH server is at
  // work, the guest has a CPU for the rest.
  let greeted = () => {}
  const greeting = new Promise<void>((resolve) => (greeted = resolve))
  const [ssh] = await Promise.all([
    connectToGuest(attempt, { signal, address, keys, greeted, silence: connecting.silence }),
    greeting.then(() => timeline.time('identity', () => introduce({ control, hostname, signal }))).then(guest.proven),
    connecting.dockerd === 'starting' && timeline.time('dockerd', () => control.phase('ready', signal)),
  ])
  // Only now is the guest quick to answer.
  await timeline.time('clock', () => control.setClock(signal))
  const docker = await forwardDocker(attempt, guest, ssh)
  const { runDirectory, console } = attempt
  const disposals = attempt.succeed()
  disposals.defer('watch', () => {
    guest.expectEnd()
    if (!gone.aborted) attempt.forgetConsole()
  })
  return { disposals, guest, ssh, docker, hostname, runDirectory, address, gone, console }
}

/** @throws VmUnreachableError */
export function addressOf({ box }: Pick<Guest, 'box'>, { plan }: Attempt): string {
  if (box.address !== undefined) return box.address
  throw new VmUnreachableError({
    what: "the VM cannot be reached: the Docker engine is on another machine, or in the engine's own network",
    entry: plan.entry.name,
    remedy: 'run on the machine of the engine, with an engine that is not rootless',
  })
}
