import { TestkernelsError } from '../errors/index.ts'
import { type Destination, destinationText } from './destination.ts'

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
