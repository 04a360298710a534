import { setMaxListeners } from 'node:events'
import { chmod, rename, rm } from 'node:fs/promises'
import { reasonOf } from '../errors/index.ts'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { type SshConnection, SshConnectionLostError } from '../ssh/index.ts'
import { ForwardListenError } from './errors.ts'
import { type Listener, listen } from './listen.ts'
import { checkPrivatePath } from './private-path.ts'
import { relay } from './relay.ts'

/** Clients wait for the diagnosis of a lost connection no longer than this. */
const diagnosisTimeoutMs = 2_000

export interface UnixForwardOptions {
  readonly connection: SshConnection
  /** Path of dockerd's socket in the guest. */
  readonly remotePath: string
  /** Where the socket is made: at most 107 bytes, in a directory of ours that has mode 0700. */
  readonly localPath: string
  readonly log?: Logger | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
  /**
   * Finds out why the connection was lost: a kernel panic, a VM that was killed. Requests wait for it, for two seconds at
   * the most. @default the loss itself is the reason
   */
  readonly diagnose?: ((lost: SshConnectionLostError) => Promise<unknown>) | undefined
}

/** A unix socket of this machine whose connections end at the guest's dockerd. */
export interface ForwardedSocket extends AsyncDisposable {
  readonly path: string
  /** The path as `DOCKER_HOST` wants it. */
  readonly dockerHost: string
  /** What clients get to read since the VM is gone. */
  readonly explanation: unknown
  /**
   * Says that the VM is gone, and why. From now on every request is answered with Docker's own error of this reason, also
   * those that wait for the head of their answer; streams end. The first reason stays.
   */
  explain(reason: unknown): void
  /** Ends every stream and removes the socket; memoised. */
  close(): Promise<void>
}

/** @throws ForwardDirectoryNotPrivateError, ForwardPathTooLongError, ForwardPathTakenError, ForwardListenError */
export async function forwardUnixSocket(options: UnixForwardOptions): Promise<ForwardedSocket> {
  const { connection, remotePath, localPath, entry, diagnose, log = silentLogger } = options
  const { path, birthPath } = await checkPrivatePath(localPath, entry)
  const { ended } = connection
  const explained = new AbortController()
  setMaxListeners(0, explained.signal)

  const explain = (reason: unknown) => {
    if (!explained.signal.aborted) log.debug(`${path} answers from now on: ${reasonOf(reason)}`)
    explained.abort(reason)
  }
  const onEnded = () => {
    const reason: unknown = ended.reason
    if (diagnose === undefined || !(reason instanceof SshConnectionLostError)) return explain(reason)
    diagnoseInTime(diagnose, reason).then(explain)
  }

  const listener = await listen({
    where: { path: birthPath },
    onSocket: (local) =>
      relay(local, { openRemote: () => connection.openUnixStream(remotePath), explanation: explained.signal, ended }),
    onError: (error) => log.warn(`${path}: ${error.message}`),
  }).catch((cause) => {
    throw cannotListen(cause)
  })
  try {
    // Nobody connects to the name of its birth: under its own name the socket never had another mode.
    await chmod(birthPath, 0o600)
    await rename(birthPath, path)
  } catch (cause) {
    await listener.close()
    await rm(birthPath, { force: true })
    throw cannotListen(cause)
  }
  if (ended.aborted) onEnded()
  else ended.addEventListener('abort', onEnded, { once: true })

  let closing: Promise<void> | undefined
  const close = () => {
    ended.removeEventListener('abort', onEnded)
    closing ??= remove(listener, path)
    return closing
  }
  return {
    path,
    dockerHost: `unix://${path}`,
    get explanation() {
      return explained.signal.reason
    },
    explain,
    close,
    [Symbol.asyncDispose]: close,
  }

  function cannotListen(cause: unknown): ForwardListenError {
    return new ForwardListenError({
      what: `the socket ${path} cannot be made`,
      entry,
      remedy: 'use a directory on a file system that has unix sockets, and look whether its disk is full',
      cause,
    })
  }
}

async function remove(listener: Listener, path: string): Promise<void> {
  await rm(path, { force: true })
  await listener.close()
}

async function diagnoseInTime(
  diagnose: (lost: SshConnectionLostError) => Promise<unknown>,
  lost: SshConnectionLostError,
): Promise<unknown> {
  using deadline = startDeadline({ ms: diagnosisTimeoutMs, onPassed: () => lost })
  try {
    return await orAborted(diagnose(lost), deadline.signal)
  } catch {
    return lost
  }
}
