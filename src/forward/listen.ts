import { once } from 'node:events'
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'

/** A listening server that knows its sockets. */
export interface Listener {
  readonly server: Server
  /** Takes no more connections and destroys those that are there. */
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly where: ListenOptions
  readonly onSocket: (socket: Socket) => void
  /** An accept that failed, for want of file descriptors for example; the server goes on. */
  readonly onError: (error: Error) => void
}

export async function listen({ where, onSocket, onError }: ListenerOptions): Promise<Listener> {
  const sockets = new Set<Socket>()
  // Each direction ends by itself, and nothing is read before there is a place for it.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  server.listen(where)
  await once(server, 'listening')
  server.on('error', onError)
  return {
    server,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
