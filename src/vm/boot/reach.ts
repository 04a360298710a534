import { join } from 'node:path'
import { type ForwardedSocket, forwardUnixSocket } from '../../forward/index.ts'
import { guestLink } from '../../qemu/index.ts'
import { connectSsh, type SshConnection } from '../../ssh/index.ts'
import { headlineOf } from '../death/death.ts'
import type { BootOptions } from './boot-options.ts'
import type { Guest } from './guest.ts'
import type { GuestKeys } from './introduce.ts'
import type { Place } from './place.ts'

export interface GuestToReach extends Pick<Guest, 'address' | 'signal'> {
  readonly keys: GuestKeys
  /** Called when the guest's sshd has said its first words. */
  readonly greeted?: () => void
}

/** Connects to the guest's sshd, waiting for it. */
export function connectToGuest(
  { log, timeline, entry, silence }: BootOptions,
  { address, signal, keys, greeted }: GuestToReach,
  { starting }: Place,
): Promise<SshConnection> {
  const connecting = timeline.time('ssh', () =>
    connectSsh({
      host: address,
      port: guestLink.sshPort,
      user: 'root',
      hostPublicKey: keys.hostKey.publicKey,
      clientKey: keys.clientKey,
      ...(silence === 'allowed' && { keepaliveIntervalMs: 0 }),
      greeted,
      signal,
      log,
      entry: entry.name,
    }),
  )
  const closeSsh = (ssh: SshConnection) => ssh.close()
  starting.defer('ssh connection', () => connecting.then(closeSsh, () => {}))
  return connecting
}

/** Makes the socket of this machine that is the guest's dockerd. */
export async function forwardDocker(
  { log, timeline, entry }: BootOptions,
  { gone, signal }: Pick<Guest, 'gone' | 'signal'>,
  { connection, place }: { readonly connection: SshConnection; readonly place: Place },
): Promise<ForwardedSocket> {
  const docker = await timeline.time('forward', () =>
    forwardUnixSocket({
      connection,
      remotePath: '/var/run/docker.sock',
      localPath: join(place.runDirectory, 'docker.sock'),
      log,
      entry: entry.name,
      diagnose: () => reasonFor(gone),
    }),
  )
  place.starting.use('docker socket', docker)
  signal.throwIfAborted()
  gone.addEventListener('abort', () => docker.explain(headlineOf(gone.reason)), { once: true })
  return docker
}

/** The engine tells of the container's end a little later than the connection that broke with it. */
function reasonFor(gone: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (gone.aborted) resolve(headlineOf(gone.reason))
    gone.addEventListener('abort', () => resolve(headlineOf(gone.reason)), { once: true })
  })
}
