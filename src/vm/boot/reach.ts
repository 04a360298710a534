import { join } from 'node:path'
import { type ForwardedSocket, forwardUnixSocket } from '../../forward/index.ts'
import { guestLink } from '../../qemu/index.ts'
import { connectSsh, type SshConnection } from '../../ssh/index.ts'
import { headlineOf } from '../death/death.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'
import type { GuestKeys } from './introduce.ts'

/** `allowed`: the guest will be stopped, and answers nothing then. @default 'lost': one that is silent for a minute is lost */
export type Silence = 'allowed' | 'lost'

export interface GuestToReach extends Pick<Guest, 'signal'> {
  readonly address: string
  readonly keys: GuestKeys
  /** Called when the guest's sshd has said its first words. */
  readonly greeted?: () => void
  readonly silence?: Silence | undefined
}

/** Connects to the guest's sshd, waiting for it. */
export function connectToGuest(
  { plan, start, resources }: Attempt,
  { address, signal, keys, greeted, silence }: GuestToReach,
): Promise<SshConnection> {
  const { log, timeline } = start
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
      entry: plan.entry.name,
    }),
  )
  const closeSsh = (ssh: SshConnection) => ssh.close()
  resources.defer('ssh connection', () => connecting.then(closeSsh, () => {}))
  return connecting
}

/** Makes the socket of this machine that is the guest's dockerd. */
export async function forwardDocker(
  { plan, start, runDirectory, resources }: Attempt,
  { gone, signal }: Pick<Guest, 'gone' | 'signal'>,
  connection: SshConnection,
): Promise<ForwardedSocket> {
  const { log, timeline } = start
  const docker = await timeline.time('forward', () =>
    forwardUnixSocket({
      connection,
      remotePath: '/var/run/docker.sock',
      localPath: join(runDirectory, 'docker.sock'),
      log,
      entry: plan.entry.name,
      diagnose: () => reasonFor(gone),
    }),
  )
  resources.use('docker socket', docker)
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
