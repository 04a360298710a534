import { join } from 'node:path'
import { type ForwardedSocket, Forwards } from '../../forward/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import { guestLink } from '../../qemu/index.ts'
import { connectSsh } from '../../ssh/index.ts'
import { type Destination, doorStreams, SshAccess, type Streams } from '../../streams/index.ts'
import { headlineOf } from '../death/death.ts'
import { DOOR_SOCKET } from '../machine.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'
import type { GuestKeys } from './introduce.ts'

export const dockerSocket = { kind: 'unix', path: '/var/run/docker.sock' } as const satisfies Destination
const sshServer = { kind: 'tcp', port: guestLink.sshPort } as const satisfies Destination

/** A guest that swaps, and starts another SSH server meanwhile, takes less. */
const SSH_DEADLINE_MS = 60_000

/** The ways into the guest, through its door. */
export function streamsInto({ plan }: Attempt, { box, gone }: Guest, { doorSecret }: GuestKeys): Streams {
  return doorStreams({
    // A box that is gone makes no socket any more.
    dial: (signal) => box.dial(DOOR_SOCKET, signal === undefined ? gone : AbortSignal.any([gone, signal])),
    secret: doorSecret,
    entry: plan.entry.name,
  })
}

/** SSH, for commands in the guest; connected when the first is run. */
export function sshInto(
  { plan, start, resources }: Attempt,
  { gone }: Guest,
  { keys, streams }: { readonly keys: GuestKeys; readonly streams: Streams },
): SshAccess {
  const ssh = new SshAccess(async (closed) => {
    using deadline = startDeadline({
      ms: SSH_DEADLINE_MS,
      onPassed: () => new Error(`there was none within ${SSH_DEADLINE_MS / 1000} s`),
      signal: AbortSignal.any([closed, gone]),
    })
    return await connectSsh({
      dial: (signal) => streams.open(sshServer, { signal }),
      server: `port ${sshServer.port} of the virtual machine`,
      user: 'root',
      hostPublicKey: keys.hostKey.publicKey,
      clientKey: keys.clientKey,
      signal: deadline.signal,
      log: start.log,
      entry: plan.entry.name,
    })
  })
  return resources.use('ssh connection', ssh)
}

/** Makes the socket of this machine that is the guest's dockerd. */
export async function forwardDocker(
  { plan, start, runDirectory, resources }: Attempt,
  { gone, signal }: Guest,
  streams: Streams,
): Promise<ForwardedSocket> {
  const forwards = resources.use('forwards', new Forwards({ streams, log: start.log, entry: plan.entry.name }))
  const docker = await forwards.addDocker({
    remotePath: dockerSocket.path,
    localPath: join(runDirectory.path, 'docker.sock'),
    directoryOwner: runDirectory.owner.uid,
  })
  signal.throwIfAborted()
  gone.addEventListener('abort', () => forwards.explain(headlineOf(gone.reason)), { once: true })
  return docker
}
