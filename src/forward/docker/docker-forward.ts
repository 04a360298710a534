import { setMaxListeners } from 'node:events'
import { reasonOf } from '../../errors/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import type { Destination, Streams } from '../../streams/index.ts'
import { listenPrivately, type PrivacyOptions } from '../listen.ts'
import { watchBinds } from './binds.ts'
import type { Request } from './exchange.ts'
import { relay } from './relay.ts'

export interface DockerForwardOptions extends PrivacyOptions {
  readonly streams: Streams
  /** Path of dockerd's socket in the guest. */
  readonly remotePath: string
  /** Where the socket is made: at most 107 bytes, in a directory of ours that has mode 0700. */
  readonly localPath: string
  /** What must have been done before a client reads that a container, of this id or name, has started. @default nothing */
  readonly beforeStarted?: (container: string) => Promise<void> | undefined
  readonly log?: Logger | undefined
}

/** A unix socket of this machine whose connections end at the guest's dockerd. */
export interface ForwardedSocket extends AsyncDisposable {
  readonly path: string
  /** The path as `DOCKER_HOST` wants it. */
  readonly dockerHost: string
  /**
   * Says that the VM is gone, and why. From now on every request is answered with Docker's own error of this reason, also
   * those that wait for the head of their answer; streams end. The first reason stays.
   */
  explain(reason: unknown): void
  /** Ends every stream and removes the socket; memoised. */
  close(): Promise<void>
}

/** @throws ForwardDirectoryNotPrivateError, ForwardPathTooLongError, ForwardPathTakenError, ForwardListenError */
export async function forwardDocker(options: DockerForwardOptions): Promise<ForwardedSocket> {
  const { streams, remotePath, localPath: path, directoryOwner, beforeStarted, entry, log = silentLogger } = options
  const destination: Destination = { kind: 'unix', path: remotePath }
  const explained = new AbortController()
  setMaxListeners(0, explained.signal)
  const watchClient = watchBinds({ log })
  const listener = await listenPrivately({
    path,
    directoryOwner,
    entry,
    onSocket: (local) =>
      relay(local, {
        open: () => streams.open(destination),
        explanation: explained.signal,
        onPiece: watchClient(),
        ...(beforeStarted && { beforeAnswer: (request) => startedBy(request, beforeStarted) }),
        entry,
      }),
    onError: (error) => log.warn(`${path}: ${error.message}`),
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= listener.close()
    return closing
  }
  return {
    path,
    dockerHost: `unix://${path}`,
    explain: (reason) => {
      if (!explained.signal.aborted) log.debug(`${path} answers from now on: ${reasonOf(reason)}`)
      explained.abort(reason)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const START = /^(?:\/v[\d.]+)?\/containers\/([^/?]+)\/(?:start|restart)(?:\?|$)/

function startedBy({ method, target }: Request, beforeStarted: (container: string) => Promise<void> | undefined) {
  const [, container] = (method === 'POST' && START.exec(target)) || []
  return container === undefined ? undefined : beforeStarted(decoded(container))
}

/** What is no URL component is no container's name either: dockerd says so. */
function decoded(component: string): string {
  try {
    return decodeURIComponent(component)
  } catch {
    return component
  }
}
