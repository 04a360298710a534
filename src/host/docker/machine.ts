import type { Duplex } from 'node:stream'
import type { Lease, LeaseMount } from '../../engine/index.ts'
import type { SocketsMount } from '../box.ts'

/** What depends on whether the engine's machine is this one. */
export interface DockerMachine {
  availableMib(): Promise<number | undefined>
  processor(): Promise<string>
  /** Changes with each boot of the machine; empty where it cannot be known. */
  boot(): Promise<string>
  /** What can be seen of its KVM without a guest: whether it has a driver, and whose its device is. Empty where that cannot be known. */
  kvm(): Promise<string>
  mountSockets(mount: SocketsMount, labels: Readonly<Record<string, string>>): LeaseMount
  /** Connects to a socket in a container, waiting for it until the signal aborts. */
  dial(container: Lease, sockets: SocketsMount, socket: DialledSocket): Promise<Duplex>
  /** Where the container's ports are reached from here. */
  addressOf(container: Lease): string | undefined
  /** What of a box's sockets is on the machine when the box is no more. */
  removeSockets(sockets: SocketsMount): Promise<unknown>
}

export interface DialledSocket {
  readonly name: string
  readonly signal: AbortSignal
}
