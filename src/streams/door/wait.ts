import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import type { Destination } from '../destination.ts'
import { DoorDeniedError, StreamRefusedError, StreamsLostError } from '../errors.ts'
import type { Streams } from '../streams.ts'

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
