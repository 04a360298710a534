import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import pRetry, { AbortError } from 'p-retry'

/**
 * Connects to a socket that QEMU makes when it starts; waits for it until `signal` aborts.
 * @throws the signal's reason
 */
export async function dialWhenThere(socketPath: string, signal: AbortSignal): Promise<Socket> {
  return await pRetry(() => dial(socketPath, signal), {
    // A socket that is not there yet costs a stat: look often, the caller's deadline ends it.
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 5,
    maxTimeout: 20,
    signal,
  })
}

async function dial(socketPath: string, signal: AbortSignal): Promise<Socket> {
  if (signal.aborted) throw new AbortError(signal.reason)
  const socket = connect(socketPath)
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (cause) {
    socket.destroy()
    throw cause
  }
}
