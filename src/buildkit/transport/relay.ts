import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { makeOwnedDirectory } from '../../files/index.ts'

/** A unix socket of ours that leads to connections of another kind. */
export interface Relay extends AsyncDisposable {
  readonly socketPath: string
  /** Why the last connection could not be made: all that comes through the socket is that it ended. */
  readonly failure: unknown
}

const SOCKET = 'buildkitd.sock'

/**
 * Needed because grpc-js opens its own sockets and takes no others. Only this user may enter the directory of the socket.
 * @throws DirectoryUnusableError
 */
export async function startRelay(dial: () => Promise<Duplex>): Promise<Relay> {
  const place = { parent: tmpdir(), purpose: 'the sockets of builds', variable: 'TMPDIR' }
  const directory = await makeOwnedDirectory(place, SOCKET)
  const open = new Set<Duplex>()
  let failure: unknown
  const connect = async (near: Socket) => {
    open.add(near)
    near.on('error', () => {})
    const far = await dial().catch((error: unknown) => {
      failure = error
    })
    if (far === undefined) {
      near.destroy()
      return
    }
    open.add(far)
    far.on('error', () => near.destroy())
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
    near.pipe(far).pipe(near)
  }
  const server = createServer(connect)
  const socketPath = join(directory.path, SOCKET)
  server.listen(socketPath)
  await once(server, 'listening')
  return {
    socketPath,
    get failure() {
      return failure
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      for (const connection of open) connection.destroy()
      await directory[Symbol.asyncDispose]()
    },
  }
}
