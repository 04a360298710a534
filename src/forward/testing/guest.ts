import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Destination, StreamRefusedError, type Streams, StreamsLostError } from '../../streams/index.ts'

/** A guest's service at a unix socket of this machine, with streams to it that can be lost as a VM is. */
export interface TestGuest extends AsyncDisposable {
  /** Mode 0700, for the sockets of a test. */
  readonly directory: string
  readonly remotePath: string
  readonly streams: Streams
  /** Connections of the service that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** Ends all streams without a word, as a VM that dies; there will be no others. */
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

  let lost: Error | undefined
  const streams = new Set<Socket>()
  const open = async (destination: Destination) => {
    if (lost !== undefined) throw lost
    if (destination.kind !== 'unix' || destination.path !== remotePath) throw refused(destination)
    const stream = connect({ path: remotePath, allowHalfOpen: true })
    streams.add(stream)
    await once(stream, 'connect')
    return stream
  }
  return {
    directory,
    remotePath,
    streams: { open },
    sockets,
    lose() {
      lost = new StreamsLostError({ what: 'the guest is gone', remedy: 'start again' })
      for (const socket of sockets) socket.destroy()
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

function refused(destination: Destination): StreamRefusedError {
  return new StreamRefusedError({ what: `nothing listens at ${JSON.stringify(destination)}`, remedy: 'start it' })
}

export interface Answer {
  readonly status: number | undefined
  readonly type: string | undefined
  readonly body: string
}

/** One HTTP request at a unix socket, on a connection of its own. */
export function ask(socketPath: string, { method = 'GET', path = '/v1.41/info', body = '' } = {}): Promise<Answer> {
  // One that says nothing of its length is sent in chunks.
  const headers = body === '' ? {} : { 'Content-Length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, headers, agent: false }, (response) => {
      text(response).then(
        (answer) => resolve({ status: response.statusCode, type: response.headers['content-type'], body: answer }),
        reject,
      )
    })
    asked.once('error', reject)
    asked.end(body)
  })
}
