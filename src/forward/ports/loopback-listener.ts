import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Logger, silentLogger } from '../../log/index.ts'
import type { Streams } from '../../streams/index.ts'
import { BACKLOG, relayServer } from '../listen.ts'

export interface LoopbackPort {
  /** A loopback address of this machine. */
  readonly address: string
  /** The same there and in the guest. */
  readonly port: number
}

export interface LoopbackListener {
  /** Takes no more clients and ends what is there of others. */
  close(): Promise<void>
}

/**
 * Listens at a TCP port of this machine whose connections end at the same port of the guest.
 * @throws what Node throws for an address that cannot be listened at, such as EADDRINUSE
 */
export async function listenForConnections(
  { address, port }: LoopbackPort,
  streams: Streams,
  log: Logger = silentLogger,
): Promise<LoopbackListener> {
  const { server, close } = relayServer((socket) => {
    socket.on('error', () => {})
    streams.open({ kind: 'tcp', port }).then(
      (remote) => join(socket, remote),
      // Refused in the guest, or no guest: to the client it is a connection that was reset, as the engine's own proxy has it.
      () => socket.resetAndDestroy(),
    )
  })
  server.listen({ host: address, port, backlog: BACKLOG })
  await once(server, 'listening')
  server.on('error', (error) => log.warn(`${address}:${port}: ${error.message}`))
  return { close }
}

/** An end passes on as a half-close, back-pressure as it is; a side that breaks breaks the other. */
function join(local: Socket, remote: Duplex): void {
  if (local.destroyed) return void remote.destroy()
  remote.on('error', () => local.resetAndDestroy())
  local.once('close', () => remote.destroy())
  remote.once('close', () => local.destroySoon())
  local.pipe(remote)
  remote.pipe(local)
}
