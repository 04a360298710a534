import { once } from 'node:events'
import { chmod, rename, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { ForwardListenError } from './errors.ts'
import { checkPrivatePath } from './private-path.ts'

/** A client of a unix socket is refused (EAGAIN) when more than this wait to be taken; Node's own 511 is few while we are busy. */
const BACKLOG = 4096

export interface ListenOptions {
  /** At most 107 bytes, in a directory of ours that has mode 0700. */
  readonly path: string
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
  readonly onSocket: (socket: Socket) => void
  /** An accept that failed, for want of file descriptors for example; the server goes on. */
  readonly onError: (error: Error) => void
}

export interface Listener {
  /** Removes the socket, takes no more connections and destroys those that are there. */
  close(): Promise<void>
}

/**
 * Listens at a unix socket (mode 0600) that nobody but us reaches.
 * @throws ForwardDirectoryNotPrivateError, ForwardPathTooLongError, ForwardPathTakenError, ForwardListenError
 */
export async function listenPrivately(options: ListenOptions): Promise<Listener> {
  const { path, birthPath } = await checkPrivatePath(options.path, options.entry)
  const sockets = new Set<Socket>()
  // Each direction ends by itself, and nothing is read before there is a place for it.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    options.onSocket(socket)
  })
  try {
    server.listen({ path: birthPath, backlog: BACKLOG })
    await once(server, 'listening')
    // Nobody connects to the name of its birth: under its own name the socket never had another mode.
    await chmod(birthPath, 0o600)
    await rename(birthPath, path)
  } catch (cause) {
    await close(server, sockets)
    await rm(birthPath, { force: true })
    throw new ForwardListenError({
      what: `the socket ${path} cannot be made`,
      entry: options.entry,
      remedy: 'use a directory on a file system that has unix sockets, and look whether its disk is full',
      cause,
    })
  }
  server.on('error', options.onError)
  return {
    close: async () => {
      await rm(path, { force: true })
      await close(server, sockets)
    },
  }
}

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  for (const socket of sockets) socket.destroy()
  await closed
}
