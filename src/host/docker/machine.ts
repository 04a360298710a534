import { once } from 'node:events'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import type { AttachedContainer, ContainerMount } from '../../engine/index.ts'
import type { SocketsMount } from '../box.ts'

/** What depends on whether the engine's machine is this one. */
export interface DockerMachine {
  availableMib(): Promise<number | undefined>
  processor(): Promise<string>
  /** Changes with each boot of the machine; empty where it cannot be known. */
  boot(): Promise<string>
  /** What can be seen of its KVM without a guest: whether it has a driver, and whose its device is. Empty where that cannot be known. */
  kvm(): Promise<string>
  mountSockets(mount: SocketsMount, labels: Readonly<Record<string, string>>): ContainerMount
  /** Connects to sockets in a container. */
  dialler(container: Pick<AttachedContainer, 'id'>, sockets: SocketsMount): Dial
  /** Where the container's ports are reached from here; undefined where they are not, and for one that has ended. */
  addressOf(container: AttachedContainer): Promise<string | undefined>
  /** What of a box's sockets is on the machine when the box is no more. */
  removeSockets(sockets: SocketsMount): Promise<unknown>
}

/** Connects to a socket, waiting for it until the signal aborts. */
export type Dial = (name: string, signal: AbortSignal) => Promise<Duplex>

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
