import { once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'

/**
 * Connects to a socket that the program in a box makes when it starts; waits for it until `signal` aborts.
 * @throws the signal's reason
 */
export async function dialWhenThere(dial: () => Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return await pRetry(dial, {
    // A socket that is not there yet costs a stat: look often, the caller's deadline ends it.
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 5,
    maxTimeout: 20,
    signal,
  })
}

export async function dialSocket(path: string, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted()
  const socket = connect({ path, allowHalfOpen: true })
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (cause) {
    socket.destroy()
    throw cause
  }
}
