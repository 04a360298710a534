import type { Duplex } from 'node:stream'
import { TestkernelsError } from '../errors/index.ts'

/** A socket of the guest. */
export type Destination =
  | { readonly kind: 'unix'; readonly path: string }
  /** A port that something in the guest listens at, on its loopback device at least. */
  | { readonly kind: 'tcp'; readonly port: number }
  /** The same over UDP: the stream has frames of datagrams, which `frameOf` and `datagramsIn` know, and leaves from a port of its own. */
  | { readonly kind: 'udp'; readonly port: number }

/** For messages. */
export function destinationText(destination: Destination): string {
  if (destination.kind === 'unix') return destination.path
  return `${destination.kind === 'udp' ? 'UDP port' : 'port'} ${destination.port}`
}

export interface OpenOptions {
  /** Calls the opening off; afterwards it has no effect. @default nothing does */
  readonly signal?: AbortSignal | undefined
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
