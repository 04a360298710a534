import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import * as v from 'valibot'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import { type KernelEntry, kernelText } from '../options/index.ts'
import { connectSsh, type SshConnection } from '../ssh/index.ts'
import { readFirstLine } from '../streams/index.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import { SSH_DEADLINE_MS, sshServer } from './boot/connect.ts'
import { socketsOfVms } from './boot/run-directory.ts'

/** In the run directory: the guest's SSH server, for other processes of this user. */
const SSH_SOCKET = 'ssh.sock'

/** A name of an entry, and what a hostname is made of. */
const label = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$/))
const base64Text = v.pipe(v.string(), v.base64())

/**
 * What a client reads first at that socket, as a line of JSON: which VM it is, and the keys without which nobody gets in. It is taken
 * for no more than it says: who has taken over a QEMU can put a socket of its own there.
 */
const greetingLine = v.object({
  name: label,
  hostname: label,
  kernel: v.string(),
  hostPublicKey: base64Text,
  clientKey: v.object({ seed: base64Text, publicKey: base64Text }),
})
type Greeting = Readonly<v.InferOutput<typeof greetingLine>>

/** Lets other processes of this user into the guest: whoever may open the socket is its owner, as with docker.sock. */
export async function offerSsh(
  { forwards, runDirectory, hostname, keys }: Pick<BootedVm, 'forwards' | 'runDirectory' | 'hostname' | 'keys'>,
  entry: KernelEntry,
): Promise<void> {
  const { hostKey, clientKey } = keys
  const greeting: Greeting = {
    name: entry.name,
    hostname,
    kernel: kernelText(entry.kernel),
    hostPublicKey: base64(hostKey.publicKey),
    clientKey: { seed: base64(clientKey.seed), publicKey: base64(clientKey.publicKey) },
  }
  await forwards.addSocket({
    localPath: join(runDirectory.path, SSH_SOCKET),
    directoryOwner: runDirectory.owner.uid,
    destination: sshServer,
    greeting: `${JSON.stringify(greeting)}\n`,
  })
}

/** A VM of this user that another process has. */
export interface RunningVm extends Pick<Greeting, 'name' | 'hostname' | 'kernel'> {
  /** Tells it from others of its hostname: the end of its run directory's name, with the id of the process that has it. */
  readonly id: string
  /** @throws SshConnectFailedError */
  connect(options: { readonly signal: AbortSignal; readonly log: Logger }): Promise<SshConnection>
}

/** The VMs of this user that run, and the ids of those whose process does not answer. */
export interface FoundVms {
  readonly running: readonly RunningVm[]
  readonly silent: readonly string[]
}

/** @throws the signal's reason */
export async function findVms(runtimeDirectory: string, signal: AbortSignal): Promise<FoundVms> {
  const running: RunningVm[] = []
  const silent: string[] = []
  const look = async (path: string) => {
    const id = basename(dirname(path)).replace(/^testkernels-/, '')
    try {
      const { socket, greeting } = await openSshSocket(path, signal)
      socket.destroy()
      const { name, hostname, kernel } = greeting
      running.push({ name, hostname, kernel, id, connect: (options) => connectThrough(path, greeting, options) })
    } catch (thrown) {
      signal.throwIfAborted()
      // What a process left that was killed.
      if ((thrown as NodeJS.ErrnoException).code !== 'ECONNREFUSED') silent.push(id)
    }
  }
  await Promise.all((await socketsOfVms(runtimeDirectory, SSH_SOCKET)).map(look))
  return { running: running.sort((one, other) => (one.hostname < other.hostname ? -1 : 1)), silent: silent.sort() }
}

/** A process that is busy with something else answers late; one that waits for a child of its own, not before that has ended. */
const GREETING_DEADLINE_MS = 5_000
const GREETING_MAX_BYTES = 16 * 1024

interface OpenSshSocket {
  readonly socket: Socket
  readonly greeting: Greeting
}

/** @throws what connecting fails with; an error when no greeting comes in time */
export async function openSshSocket(path: string, signal: AbortSignal): Promise<OpenSshSocket> {
  using deadline = startDeadline({
    ms: GREETING_DEADLINE_MS,
    onPassed: () => new Error(`the process that has the virtual machine does not answer at ${path}`),
    signal,
  })
  const socket = connect({ path, allowHalfOpen: true })
  try {
    await once(socket, 'connect', { signal: deadline.signal })
    const line = await orAborted(readFirstLine(socket, GREETING_MAX_BYTES), deadline.signal)
    return { socket, greeting: v.parse(greetingLine, JSON.parse(line ?? '')) }
  } catch (thrown) {
    socket.destroy()
    throw deadline.signal.aborted ? deadline.signal.reason : thrown
  }
}

async function connectThrough(
  path: string,
  { name, hostPublicKey, clientKey }: Greeting,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Logger },
): Promise<SshConnection> {
  using deadline = startDeadline({
    ms: SSH_DEADLINE_MS,
    onPassed: () => new Error(`there was none within ${SSH_DEADLINE_MS / 1000} s`),
    signal,
  })
  return await connectSsh({
    dial: async (until) => (await openSshSocket(path, until)).socket,
    server: `port ${sshServer.port} of the virtual machine`,
    user: 'root',
    hostPublicKey: Buffer.from(hostPublicKey, 'base64'),
    clientKey: { seed: Buffer.from(clientKey.seed, 'base64'), publicKey: Buffer.from(clientKey.publicKey, 'base64') },
    signal: deadline.signal,
    log,
    entry: name,
  })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
