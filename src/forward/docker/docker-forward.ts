import { setMaxListeners } from 'node:events'
import { reasonOf } from '../../errors/index.ts'
import type { Publisher } from '../../host/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import { type Destination, StreamRefusedError, type Streams } from '../../streams/index.ts'
import { listenPrivately, type PrivacyOptions } from '../listen.ts'
import { checkCreation, isAbsentIn } from './creation.ts'
import type { Request } from './exchange.ts'
import type { MovedPorts } from './port-answers.ts'
import { relay } from './relay.ts'

export interface DockerForwardOptions extends PrivacyOptions {
  readonly streams: Streams
  /** Path of dockerd's socket in the guest. */
  readonly remotePath: string
  /** Where the socket is made: at most 107 bytes, in a directory of ours that has mode 0700. */
  readonly localPath: string
  /** What clients get to read while nothing listens there. @default that nothing does */
  readonly whenRefused?: StreamRefusedError | undefined
  /** What must have been done before a client reads that a container has started, or that a service is made or changed. @default nothing */
  readonly beforeStarted?: (publisher: Publisher) => Promise<void> | undefined
  /** Ports that clients are to read of as they are on this machine. @default as they are in the guest */
  readonly movedPorts?: MovedPorts | undefined
  /** TCP ports of the guest by which its owner comes in, which no container may publish. @default none */
  readonly reservedPorts?: readonly number[] | undefined
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
  const { streams, remotePath, localPath: path, directoryOwner, beforeStarted, whenRefused, entry } = options
  const { movedPorts, reservedPorts, log = silentLogger } = options
  const destination: Destination = { kind: 'unix', path: remotePath }
  const explained = new AbortController()
  setMaxListeners(0, explained.signal)
  const isAbsent = (source: string) => isAbsentIn(streams, destination, source)
  const checkClient = checkCreation({ isAbsent, reservedPorts, entry })
  const listener = await listenPrivately({
    path,
    directoryOwner,
    entry,
    onSocket: (local) =>
      relay(local, {
        open: () =>
          streams.open(destination).catch((thrown) => {
            throw thrown instanceof StreamRefusedError ? (whenRefused ?? thrown) : thrown
          }),
        explanation: explained.signal,
        beforePiece: checkClient(),
        ...(beforeStarted && {
          beforeAnswer: (request, piece) => {
            const started = startedBy(request, piece)
            return started && beforeStarted(started)
          },
        }),
        movedPorts,
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

const START = /^(?:\/v[\d.]+)?\/(container|service)s\/([^/?]+)(?:\/(start|restart|update))?(?:\?|$)/
/** The end of dockerd's answer to the making of a service: it is short, and comes in one piece. */
const SERVICE_MADE = /\r\n\r\n[\s\S]*"ID":"(\w+)"/

/** What has started when dockerd answers so. @param piece the first one of the answer */
function startedBy({ method, target }: Request, piece: Buffer): Publisher | undefined {
  const [, kind, id = '', action] = (method === 'POST' && START.exec(target)) || []
  if (kind === 'container' && (action === 'start' || action === 'restart')) return { kind, id: decoded(id) }
  if (kind !== 'service') return undefined
  if (action === 'update') return { kind, id: decoded(id) }
  const [, made] = (action === undefined && id === 'create' && SERVICE_MADE.exec(String(piece))) || []
  return made === undefined ? undefined : { kind, id: made }
}

/** What is no URL component is no container's name either: dockerd says so. */
function decoded(component: string): string {
  try {
    return decodeURIComponent(component)
  } catch {
    return component
  }
}
