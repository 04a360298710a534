import { Readable } from 'node:stream'
import type { ForwardedSocket } from '../../forward/index.ts'
import { type Deadline, type Disposals, startDeadline } from '../../lifetime/index.ts'
import type { SshConnection } from '../../ssh/index.ts'
import { TemplateUnusableError } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import type { Beginning, BootOptions } from './boot-options.ts'
import { type Guest, startGuest } from './guest.ts'
import { admit, introduce, makeGuestKeys } from './introduce.ts'
import { inPlace, type Place } from './place.ts'
import { connectToGuest, forwardDocker } from './reach.ts'

/** A restored guest answers within a second, on a machine at rest. */
const RESTORE_DEADLINE_MS = 60_000

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
  readonly console: Pick<ConsoleLog, 'path' | 'follow'>
}

/**
 * @throws NoSignOfLifeError, after which another try may succeed; TemplateUnusableError, after which there is a template to be
 * made; and what `bootVm` throws
 */
export async function bootOnce(options: BootOptions, beginning: Beginning): Promise<BootedVm> {
  return await inPlace(options, async (place) => {
    options.logConsumer?.(Readable.from(place.console.follow()))
    const { guest, ssh, docker } = await boot(options, beginning, place)
    const { gone, address, expectEnd } = guest
    const disposals = place.starting.move()
    disposals.defer('watch', () => {
      expectEnd()
      if (!gone.aborted) place.forgetConsole()
    })
    const { hostname } = options
    const { runDirectory, console } = place
    return { disposals, guest, ssh, docker, hostname, runDirectory, address, gone, console }
  })
}

async function boot(options: BootOptions, beginning: Beginning, place: Place) {
  if (beginning.kind === 'cold') return await bootWithin(options, beginning, place)
  using deadline = restoreDeadline(options, place)
  try {
    return await bootWithin({ ...options, signal: deadline.signal }, beginning, place)
  } catch (thrown) {
    // What fails first when the time is up is chance.
    throw deadline.signal.aborted ? deadline.signal.reason : thrown
  }
}

async function bootWithin(options: BootOptions, beginning: Beginning, place: Place) {
  const { timeline, hostname } = options
  const guest = await startGuest(options, beginning, place)
  const { control, signal } = guest
  const keys = makeGuestKeys()
  admit(keys, control)
  // Side by side, because all of them wait for the guest; whichever fails first is the error. A restored one's dockerd answers
  // already. Once the guest's SSH server is at work, the guest has a CPU for the rest.
  let greeted = () => {}
  const greeting = new Promise<void>((resolve) => (greeted = resolve))
  const connecting = connectToGuest(options, { ...guest, keys, greeted }, place)
  const introducing = greeting
    .then(() => timeline.time('identity', () => introduce({ control, hostname, signal })))
    .then(guest.proven)
  const ready = beginning.kind === 'cold' ? timeline.time('dockerd', () => control.phase('ready', signal)) : undefined
  const [ssh] = await Promise.all([connecting, introducing, ready])
  // Only now is the guest quick to answer.
  await timeline.time('clock', () => control.setClock(signal))
  const docker = await forwardDocker(options, guest, { connection: ssh, place })
  return { guest, ssh, docker }
}

function restoreDeadline({ entry, signal }: BootOptions, { console }: Place): Deadline {
  return startDeadline({
    ms: RESTORE_DEADLINE_MS,
    signal,
    onPassed: () =>
      new TemplateUnusableError('dead', {
        what: `the guest that its template became did not answer in ${RESTORE_DEADLINE_MS / 1000} s`,
        entry: entry.name,
        remedy: 'nothing need be done: it is made anew',
        output: console.tail(),
      }),
  })
}
