import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SshConnection, SshConnectionLostError } from '../../ssh/index.ts'

/** A guest's service at a unix socket, reached by a connection that is only pretended. */
export interface TestGuest extends AsyncDisposable {
  /** Mode 0700, for the sockets of a test. */
  readonly directory: string
  readonly remotePath: string
  readonly connection: SshConnection
  /** Connections of the service that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** Ends the pretended connection as lost, and its streams after it. */
  lose(): Error
}

export async function startTestGuest(onSocket: (socket: Socket) => void): Promise<TestGuest> {
  const directory = await mkdtemp(join(tmpdir(), 'tk-'))
  const remotePath = join(directory, 'guest.sock')
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  server.listen(remotePath)
  await once(server, 'listening')

  const end = new AbortController()
  const streams = new Set<Socket>()
  const open = async () => {
    end.signal.throwIfAborted()
    const stream = connect({ path: remotePath, allowHalfOpen: true })
    streams.add(stream)
    await once(stream, 'connect')
    return stream
  }
  const openUnixStream = (path: string) =>
    path === remotePath ? open() : Promise.reject(new Error(`nothing listens at ${path}`))
  const connection = { ended: end.signal, openUnixStream, openTcpStream: open }
  return {
    directory,
    remotePath,
    connection: connection as unknown as SshConnection,
    sockets,
    lose() {
      const lost = new SshConnectionLostError({ what: 'the connection is lost', remedy: 'start again' })
      end.abort(lost)
      for (const stream of streams) stream.destroy(lost)
      return lost
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      for (const stream of streams) stream.destroy()
      await new Promise((resolve) => server.close(resolve))
      await rm(directory, { recursive: true })
    },
  }
}
