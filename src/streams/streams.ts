import type { Duplex, Readable } from 'node:stream'
import { TestkernelsError } from '../errors/index.ts'

/** The version of IP that a port of the guest is reached over. @default 'IPv4' */
export type Family = 'IPv4' | 'IPv6'

/** A socket of the guest. */
export type Destination =
  | { readonly kind: 'unix'; readonly path: string }
  /** A port that something in the guest listens at, on its loopback device at least. */
  | { readonly kind: 'tcp'; readonly port: number; readonly family?: Family }
  /** The same over UDP: the stream has frames of datagrams, which `frameOf` and `datagramsIn` know, and leaves from a port of its own. */
  | { readonly kind: 'udp'; readonly port: number; readonly family?: Family }
  /** A directory of ours that the guest mounts at a path of its own: the stream is its kernel's, and speaks FUSE. */
  | { readonly kind: 'directory'; readonly path: string; readonly access: 'read-only' | 'read-write' }

/** For messages. */
export function destinationText(destination: Destination): string {
  if (destination.kind === 'unix' || destination.kind === 'directory') return destination.path
  return `${destination.kind === 'udp' ? 'UDP port' : 'port'} ${destination.port}`
}

export interface OpenOptions {
  /** Calls the opening off; afterwards it has no effect. @default nothing does */
  readonly signal?: AbortSignal | undefined
  /** Whether it waits while there are as many as there may be. @default 'waits' */
  readonly turn?: 'waits' | 'first' | undefined
}

/** Ways into one guest. */
export interface Streams {
  /**
   * Connects to a socket of the guest. The stream's two directions end one by one; one of datagrams is over when ours ends.
   * @throws StreamRefusedError where nothing takes the connection, which over UDP nobody knows; DoorDeniedError; StreamsLostError, or what SSH throws, when there is no way into the guest
   */
  open(destination: Destination, options?: OpenOptions): Promise<Duplex>
}

/** Nothing in the guest takes the connection. */
export class StreamRefusedError extends TestkernelsError {
  readonly code = 'STREAM_REFUSED'
}

/** The guest's door does not know our secret: it is another's guest, or an older start's. */
export class DoorDeniedError extends TestkernelsError {
  readonly code = 'DOOR_DENIED'
}

/** The way into the guest is gone, or not there yet. */
export class StreamsLostError extends TestkernelsError {
  readonly code = 'STREAMS_LOST'
}

export function refused(destination: Destination, cause: unknown, entry?: string): StreamRefusedError {
  return new StreamRefusedError({
    what: `nothing in the virtual machine accepts connections at ${destinationText(destination)}`,
    entry,
    remedy: 'the service behind it has stopped or never started: read its log and the console',
    cause,
  })
}

/** Bytes that a frame begins with: the length of its datagram, the high byte first (images/door/frames.c). */
const HEAD_BYTES = 2

/** What a datagram is in a stream to a UDP port of the guest. @param datagram of at most 65,535 bytes */
export function frameOf(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + datagram.length)
  frame.writeUInt16BE(datagram.length)
  frame.set(datagram, HEAD_BYTES)
  return frame
}

/** The datagrams of a stream of frames; one that the stream's end cuts off is none. @throws what the stream fails with */
export async function* datagramsIn(stream: Readable): AsyncGenerator<Buffer, void> {
  let pieces: Buffer[] = []
  let heldBytes = 0
  /** Before there are so many, nothing more is whole: they are not put together for every byte that comes. */
  let wantedBytes = HEAD_BYTES
  for await (const piece of stream) {
    pieces.push(piece)
    heldBytes += piece.length
    if (heldBytes < wantedBytes) continue
    let held = Buffer.concat(pieces)
    while (held.length >= HEAD_BYTES) {
      wantedBytes = HEAD_BYTES + held.readUInt16BE()
      if (held.length < wantedBytes) break
      yield held.subarray(HEAD_BYTES, wantedBytes)
      held = held.subarray(wantedBytes)
      wantedBytes = HEAD_BYTES
    }
    pieces = [held]
    heldBytes = held.length
  }
}
