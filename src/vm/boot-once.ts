import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type ForwardedSocket, forwardUnixSocket } from '../forward/index.ts'
import { Disposals } from '../lifetime/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { guestLink } from '../qemu/index.ts'
import { connectSsh, type SshConnection } from '../ssh/index.ts'
import type { BootOptions } from './boot-options.ts'
import { bootTimeout } from './boot-timeout.ts'
import { ConsoleLog, consoleDirectory } from './console-log.ts'
import { headlineOf } from './death.ts'
import { BootTimeoutError } from './errors.ts'
import { type GuestStart, startGuest } from './guest.ts'
import { introduce } from './introduce.ts'
import { makeRunDirectory } from './run-directory.ts'

/** A VM whose dockerd answers, and what hangs on it. */
export interface BootedVm {
  /** Ends it all: forward, connection, container, directory. */
  readonly disposals: Disposals
  readonly ssh: SshConnection
  readonly docker: ForwardedSocket
  /** Address of the container: what the guest publishes is reached here. */
  readonly address: string
  /** Aborts when the VM is gone without having been ended; its reason is the error that says why. */
  readonly gone: AbortSignal
  readonly consolePath: string
}

/** @throws NoSignOfLifeError, after which another try may succeed; and what `bootVm` throws */
export async function bootOnce(options: BootOptions): Promise<BootedVm> {
  const { host, entry } = options
  await using starting = new Disposals()
  const runDirectory = await makeRunDirectory(host.settings.runtimeDirectory)
  starting.defer('run directory', () => rm(runDirectory, { recursive: true, force: true }))
  const console = await ConsoleLog.open(join(consoleDirectory(host.settings), consoleName(entry, runDirectory)))
  let fate: 'keep' | 'remove' = 'keep'
  starting.defer('console log', () => console.close(fate))
  try {
    const { expectEnd, ...booted } = await boot({ ...options, runDirectory, console, starting })
    const disposals = starting.move()
    disposals.defer('watch', () => {
      expectEnd()
      if (!booted.gone.aborted) fate = 'remove'
    })
    return { ...booted, disposals, consolePath: console.path }
  } catch (thrown) {
    // What fails first when a signal aborts is chance; the signal's reason is the cause.
    const reason = options.signal.aborted ? options.signal.reason : thrown
    if (reason instanceof BootTimeoutError) throw bootTimeout(entry, console)
    // Nobody has to look for the reason of a start that was called off.
    if (options.signal.aborted) fate = 'remove'
    throw reason
  }
}

/** Unique, as the directory's name is: `cgroupv1-PID-XXXXXX.log`. */
function consoleName({ name }: KernelEntry, runDirectory: string): string {
  return `${name}-${basename(runDirectory).replace(/^testkernels-/, '')}.log`
}

async function boot(options: GuestStart) {
  const { entry, log, timeline, runDirectory, starting } = options
  const { control, gone, expectEnd, signal, address } = await startGuest(options)
  const { hostKey, clientKey } = await introduce({ control, entry, signal })
  const connecting = timeline.time('ssh', () =>
    connectSsh({
      host: address,
      port: guestLink.sshPort,
      user: 'root',
      hostPublicKey: hostKey.publicKey,
      clientKey,
      signal,
      log,
      entry: entry.name,
    }),
  )
  const closeSsh = (ssh: SshConnection) => ssh.close()
  starting.defer('ssh connection', () => connecting.then(closeSsh, () => {}))
  // dockerd takes longest, so SSH connects beside it; whichever fails first is the error.
  await Promise.all([connecting, timeline.time('dockerd', () => control.phase('ready', signal))])
  const ssh = await connecting
  const docker = await forwardUnixSocket({
    connection: ssh,
    remotePath: '/var/run/docker.sock',
    localPath: join(runDirectory, 'docker.sock'),
    log,
    entry: entry.name,
    diagnose: () => reasonFor(gone),
  })
  starting.use('docker socket', docker)
  signal.throwIfAborted()
  gone.addEventListener('abort', () => docker.explain(headlineOf(gone.reason)), { once: true })
  return { ssh, docker, address, gone, expectEnd }
}

/** The engine tells of the container's end a little later than the connection that broke with it. */
function reasonFor(gone: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (gone.aborted) resolve(headlineOf(gone.reason))
    gone.addEventListener('abort', () => resolve(headlineOf(gone.reason)), { once: true })
  })
}
