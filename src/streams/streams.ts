import type { Duplex } from 'node:stream'
import type { Destination } from './destination.ts'

export interface OpenOptions {
  /** Calls the opening off; afterwards it has no effect. @default nothing does */
  readonly signal?: AbortSignal | undefined
}

/** Ways into one guest. */
export interface Streams {
  /**
   * Connects to a socket of the guest. The stream's two directions end one by one.
   * @throws StreamRefusedError where nothing takes the connection; DoorDeniedError; StreamsLostError, or what SSH throws, when there is no way into the guest
   */
  open(destination: Destination, options?: OpenOptions): Promise<Duplex>
}
