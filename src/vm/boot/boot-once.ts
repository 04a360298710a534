import type { ForwardedSocket } from '../../forward/index.ts'
import type { Disposals } from '../../lifetime/index.ts'
import type { SshConnection } from '../../ssh/index.ts'
import type { Beginning, BootOptions } from './boot-options.ts'
import { type Guest, startGuest } from './guest.ts'
import { inPlace, type Place } from './place.ts'
import { connectToGuest, forwardDocker } from './reach.ts'

/** A VM whose dockerd answers, and what hangs on it. */
export interface BootedVm {
  /** Ends it all: forward, connection, container, directory. */
  readonly disposals: Disposals
  readonly guest: Guest
  readonly ssh: SshConnection
  readonly docker: ForwardedSocket
  readonly hostname: string
  /** With the sockets of QEMU and of the forwards. */
  readonly runDirectory: string
  /** Address of the container: what the guest publishes is reached here. */
  readonly address: string
  /** Aborts when the VM is gone without having been ended; its reason is the error that says why. */
  readonly gone: AbortSignal
  readonly consolePath: string
}

/**
 * @throws NoSignOfLifeError, after which another try may succeed; TemplateUnusableError, after which there is a template to be
 * made; and what `bootVm` throws
 */
export async function bootOnce(options: BootOptions, beginning: Beginning): Promise<BootedVm> {
  return await inPlace(options, async (place) => {
    const { guest, ssh, docker } = await boot(options, beginning, place)
    const { gone, address, expectEnd } = guest
    const disposals = place.starting.move()
    disposals.defer('watch', () => {
      expectEnd()
      if (!gone.aborted) place.forgetConsole()
    })
    const { hostname } = options
    const { runDirectory, console } = place
    return { disposals, guest, ssh, docker, hostname, runDirectory, address, gone, consolePath: console.path }
  })
}

async function boot(options: BootOptions, beginning: Beginning, place: Place) {
  const { timeline } = options
  const guest = await startGuest(options, beginning, place)
  const connecting = connectToGuest(options, guest, place)
  // dockerd takes longest, so SSH connects beside it; whichever fails first is the error. A restored one answers already.
  if (beginning.kind === 'cold') {
    const ready = timeline.time('dockerd', () => guest.control.phase('ready', guest.signal))
    await Promise.all([connecting, ready])
  }
  // Only now is the guest quick to answer.
  const [ssh] = await Promise.all([connecting, guest.control.setClock(guest.signal)])
  const docker = await forwardDocker(options, guest, { connection: ssh, place })
  return { guest, ssh, docker }
}
