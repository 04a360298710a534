import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import {
  type Destination,
  DoorDeniedError,
  type OpenOptions,
  refused,
  StreamRefusedError,
  type Streams,
  StreamsLostError,
} from './streams.ts'

export interface DoorDialOptions extends Pick<OpenOptions, 'turn'> {
  /** Called while it waits for others, when one of them has begun or ended. */
  readonly onAdvance: () => void
}

export interface DoorOptions {
  /** Connects to the container's end of the door: a stream of which each direction ends by itself. */
  readonly dial: (signal: AbortSignal, options: DoorDialOptions) => Promise<Duplex>
  /** That of the start: 64 hexadecimal digits. */
  readonly secret: string
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** Each end of the door answers within milliseconds; under emulation, on a machine that swaps, within seconds. Who waits has it anew whenever others get on. */
const OPEN_DEADLINE_MS = 60_000

/** Streams through the door of a VM (images/door): each is a connection of its own, and nothing is encrypted. */
export function doorStreams(door: DoorOptions): Streams {
  return {
    async open(destination, { signal, turn } = {}) {
      using deadline = startDeadline({
        ms: OPEN_DEADLINE_MS,
        onPassed: () => lost(door.entry, `nobody answered at the door within ${OPEN_DEADLINE_MS / 1000} s`),
        signal,
      })
      deadline.signal.throwIfAborted()
      const stream = await door.dial(deadline.signal, { turn, onAdvance: deadline.restart }).catch((cause: unknown) => {
        throw deadline.signal.aborted ? deadline.signal.reason : lost(door.entry, cause)
      })
      // Whoever has the stream hears of its errors: until then they are what the opening fails with.
      stream.on('error', () => {})
      try {
        await orAborted(request(stream, destination, door), deadline.signal)
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
  const answer = await readFirstLine(stream, ANSWER_MAX_BYTES).catch((cause: unknown) => {
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
  const where = 'path' in destination ? destination.path : destination.port
  return `${secret} ${wordOf(destination)} ${where}\n`
}

function wordOf(destination: Destination): string {
  if (destination.kind === 'unix') return 'unix'
  if (destination.kind !== 'directory') return destination.family === 'IPv6' ? `${destination.kind}6` : destination.kind
  return destination.access === 'read-write' ? 'rw' : 'ro'
}

function lost(entry: string | undefined, cause: unknown): StreamsLostError {
  return new StreamsLostError({
    what: 'there is no way into the virtual machine',
    entry,
    remedy: 'read its console: it stopped, crashed or has no memory left',
    cause: cause ?? undefined,
  })
}

/** What the owner of one start proves itself with at its door: 64 hexadecimal digits. */
export function makeDoorSecret(): string {
  return randomBytes(32).toString('hex')
}

/** Longer than any answer of the door (images/door/guest.c). */
const ANSWER_MAX_BYTES = 256

/**
 * Reads the first line of a stream. What is behind it stays in the stream.
 * @returns the line without its end; undefined when the stream ends before that, or the line is longer
 * @throws what the stream fails with
 */
export async function readFirstLine(stream: Duplex, maxBytes: number): Promise<string | undefined> {
  let line = Buffer.alloc(0)
  while (line.length < maxBytes) {
    const piece: Buffer | null = stream.read()
    if (piece === null) {
      if (stream.readableEnded || stream.destroyed) return undefined
      await readableOrOver(stream)
      continue
    }
    line = Buffer.concat([line, piece])
    const end = line.indexOf('\n')
    if (end < 0) continue
    if (end + 1 < line.length) stream.unshift(line.subarray(end + 1))
    return line.toString('utf8', 0, end)
  }
  return undefined
}

/** Resolves when there may be something to read, or never will be. */
async function readableOrOver(stream: Duplex): Promise<void> {
  const heard = new AbortController()
  try {
    await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal: heard.signal })))
  } finally {
    heard.abort()
  }
}

/**
 * Opens a stream as soon as there is a way into the guest, and closes it: both ends of the door are at work then, and the guest has the
 * secret. That nothing listens at the destination says so as well. The guest of a checkpoint knows the secret of the VM that it was taken
 * of until it is told ours: a denial, too, is for now.
 * @throws the signal's reason
 */
export async function waitForDoor(streams: Streams, destination: Destination, signal: AbortSignal): Promise<void> {
  const stream = await pRetry(() => openOrRefused(streams, destination, signal), {
    // One that fails costs little: look often, the caller's deadline ends it.
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 5,
    maxTimeout: 50,
    shouldRetry: ({ error }) => error instanceof StreamsLostError || error instanceof DoorDeniedError,
    signal,
  })
  stream?.destroy()
}

async function openOrRefused(
  streams: Streams,
  destination: Destination,
  signal: AbortSignal,
): Promise<Duplex | undefined> {
  try {
    return await streams.open(destination, { signal })
  } catch (thrown) {
    if (thrown instanceof StreamRefusedError) return undefined
    throw thrown
  }
}
