import type { Publisher } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import type { Streams } from '../streams/index.ts'
import { type DockerForwardOptions, type ForwardedSocket, forwardDocker } from './docker/docker-forward.ts'
import { PublishedPorts, type PublishedPortsOptions } from './ports/published-ports.ts'

export interface ForwardsOptions {
  readonly streams: Streams
  readonly log: Logger
  /** Whether clients hear of a started container only when `addPublishedPorts` has opened its ports. */
  readonly ports: 'direct' | 'forwarded'
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** All sockets and ports of this machine that lead into one VM. */
export class Forwards implements AsyncDisposable {
  readonly #options: ForwardsOptions
  readonly #open = new Set<ForwardedSocket>()
  #ports: PublishedPorts | undefined
  #explained: { readonly reason: unknown } | undefined

  constructor(options: ForwardsOptions) {
    this.#options = options
  }

  /** Makes a socket for the guest's dockerd. @throws as `forwardDocker` */
  async addDocker(
    where: Pick<DockerForwardOptions, 'remotePath' | 'localPath' | 'directoryOwner'>,
  ): Promise<ForwardedSocket> {
    const beforeStarted = (publisher: Publisher) => this.#ports?.opened(publisher)
    const holding = this.#options.ports === 'forwarded' && { beforeStarted }
    const socket = await forwardDocker({ ...this.#options, ...where, ...holding })
    if (this.#explained !== undefined) socket.explain(this.#explained.reason)
    this.#open.add(socket)
    return socket
  }

  /**
   * From now on, what containers and services publish is open at an address of this machine before dockerd's answer to their start is
   * passed on. Once for a VM. @throws PortNotForwardedError
   */
  async addPublishedPorts(where: Pick<PublishedPortsOptions, 'address' | 'publishers'>): Promise<void> {
    this.#ports = await PublishedPorts.follow({ ...this.#options, ...where })
  }

  /** Sockets that were added, in this order. */
  list(): readonly ForwardedSocket[] {
    return [...this.#open]
  }

  /** Says that the VM is gone, and why: clients get to read it, of sockets that are added later as well. */
  explain(reason: unknown): void {
    this.#explained ??= { reason }
    for (const socket of this.#open) socket.explain(reason)
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    const all = this.list()
    this.#open.clear()
    await Promise.all([this.#ports?.close(), ...all.map((socket) => socket.close())])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
