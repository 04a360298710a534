import type { Duplex } from 'node:stream'
import { orAborted } from '../../lifetime/index.ts'
import type { Destination } from '../destination.ts'
import { DoorDeniedError, refused, StreamsLostError } from '../errors.ts'
import type { Streams } from '../streams.ts'
import { readAnswer } from './answer.ts'

export interface DoorOptions {
  /** Connects to the container's end of the door: a stream of which each direction ends by itself. */
  readonly dial: (signal: AbortSignal | undefined) => Promise<Duplex>
  /** That of the start: 64 hexadecimal digits. */
  readonly secret: string
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** Streams through the door of a VM (images/door): each is a connection of its own, and nothing is encrypted. */
export function doorStreams(door: DoorOptions): Streams {
  return {
    async open(destination, { signal } = {}) {
      signal?.throwIfAborted()
      const stream = await door.dial(signal).catch((cause: unknown) => {
        throw signal?.aborted ? cause : lost(door.entry, cause)
      })
      // Whoever has the stream hears of its errors: until then they are what the opening fails with.
      stream.on('error', () => {})
      try {
        const opening = request(stream, destination, door)
        await (signal === undefined ? opening : orAborted(opening, signal))
        return stream
      } catch (thrown) {
        stream.destroy()
        throw thrown
      }
    },
  }
}

async function request(stream: Duplex, destination: Destination, { secret, entry }: DoorOptions): Promise<void> {
  stream.write(requestLine(secret, destination))
  const answer = await readAnswer(stream).catch((cause: unknown) => {
    throw lost(entry, cause)
  })
  if (answer === 'ok') return
  if (answer === undefined) throw lost(entry, stream.errored)
  const [, verdict, reason] = /^(\w+) (.*)$/.exec(answer) ?? []
  if (verdict === 'error') throw refused(destination, reason, entry)
  throw new DoorDeniedError({
    what: 'the virtual machine does not let us in',
    entry,
    remedy: 'start it again: it has the secret of another start',
    cause: reason ?? answer,
  })
}

/** The line that images/door/request.c reads. */
function requestLine(secret: string, destination: Destination): string {
  const where = destination.kind === 'unix' ? destination.path : destination.port
  return `${secret} ${destination.kind} ${where}\n`
}

function lost(entry: string | undefined, cause: unknown): StreamsLostError {
  return new StreamsLostError({
    what: 'there is no way into the virtual machine',
    entry,
    remedy: 'read its console: it stopped, crashed or has no memory left',
    cause: cause ?? undefined,
  })
}
