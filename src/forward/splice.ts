import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** Joins a local socket and a stream of the guest. An end passes on as a half-close, backpressure as it is. */
export function splice(local: Socket, remote: Duplex): void {
  local.pipe(remote)
  remote.pipe(local)
  remote.on('error', () => {})
  local.once('close', () => remote.destroy())
}

/** Takes apart what splice() joined; the streams stay open. */
export function unsplice(local: Socket, remote: Duplex): void {
  local.unpipe(remote)
  remote.unpipe(local)
}
