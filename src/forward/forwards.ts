import type { Socket } from 'node:net'
import { join } from 'node:path'
import type { Publisher } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import { type ForwardOptions, forwardName, type KernelEntry } from '../options/index.ts'
import type { Destination, OpenOptions, Streams } from '../streams/index.ts'
import { type DockerForwardOptions, type ForwardedSocket, forwardDocker } from './docker/docker-forward.ts'
import type { MovedPorts } from './docker/port-answers.ts'
import { ForwardPortTakenError } from './errors.ts'
import { type HostPortOptions, HostPorts } from './host-ports.ts'
import { carry, type HeldPort, holdOnLoopback, type Listener, listenPrivately } from './listen.ts'
import { PublishedPorts, type PublishedPortsOptions } from './ports/published-ports.ts'

export interface ForwardsOptions {
  readonly streams: Streams
  readonly log: Logger
  /** Whether clients hear of a started container only when `addPublishedPorts` has opened its ports. */
  readonly ports: 'direct' | 'forwarded'
  /** As for `forwardDocker`. */
  readonly reservedPorts?: DockerForwardOptions['reservedPorts']
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

export interface SocketForwardOptions {
  /** Where the socket is made, as for `forwardDocker`. */
  readonly localPath: string
  readonly directoryOwner?: number | undefined
  /** What its connections end at. */
  readonly destination: Destination
  /** A client reads this first, and is connected to the guest when it says something. @default nothing, and at once */
  readonly greeting?: string
  /** Whether its connections wait while others are being made. @default 'waits' */
  readonly turn?: OpenOptions['turn']
}

/** Where private sockets are made. */
export interface ForwardPlace {
  readonly directory: string
  readonly directoryOwner: number
  /** Ports of this machine that are open already. @default none */
  readonly held?: HeldPorts
}

/** The private socket that leads to a socket of the guest. */
export function forwardSocket(name: string): string {
  return `forward-${name}.sock`
}

/** Where a socket or a port of the guest is on this machine. */
export type ForwardAddress = {
  readonly name: string
  /** As programs take it: the path, or `127.0.0.1:PORT`. */
  readonly address: string
} & (
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
)

/** Where a forward has its port of this machine. */
const LOOPBACK = '127.0.0.1'

/** All sockets and ports of this machine that lead into one VM, and those that its guest may reach here. */
export class Forwards implements AsyncDisposable {
  readonly #options: ForwardsOptions
  readonly #open = new Set<ForwardedSocket>()
  readonly #listeners = new Set<Listener>()
  readonly #hostPorts: HostPorts
  #ports: PublishedPorts | undefined
  #explained: { readonly reason: unknown } | undefined

  constructor(options: ForwardsOptions) {
    this.#options = options
    this.#hostPorts = new HostPorts(options)
  }

  /** Makes a socket for the guest's dockerd. @throws as `forwardDocker` */
  async addDocker(
    where: Pick<DockerForwardOptions, 'remotePath' | 'localPath' | 'directoryOwner' | 'whenRefused'>,
  ): Promise<ForwardedSocket> {
    const beforeStarted = (publisher: Publisher) => this.#ports?.opened(publisher)
    const holding = this.#options.ports === 'forwarded' && { beforeStarted, movedPorts: this.#movedPorts() }
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

  /** Those of the published ports, from when they are followed. */
  #movedPorts(): MovedPorts {
    const ports = () => this.#ports
    return {
      get hasMoved() {
        return ports()?.hasMoved ?? false
      },
      moved: (id) => ports()?.moved(id) ?? new Map(),
    }
  }

  /** Makes a socket that only carries bytes. @throws as `listenPrivately` */
  async addSocket({ localPath, directoryOwner, destination, greeting, turn }: SocketForwardOptions): Promise<void> {
    const { streams, log, entry } = this.#options
    const onSocket = (socket: Socket) => {
      const connect = () => carry(socket, () => streams.open(destination, { turn }))
      if (greeting === undefined) connect()
      else greet(socket, greeting, connect)
    }
    const onError = (error: Error) => log.warn(`${localPath}: ${error.message}`)
    this.#listeners.add(await listenPrivately({ path: localPath, directoryOwner, entry, onSocket, onError }))
  }

  /**
   * Opens what an entry asks for, for this VM alone.
   * @throws ForwardPortTakenError; as `listenPrivately`
   */
  async addForward(forward: ForwardOptions, place: ForwardPlace): Promise<ForwardAddress> {
    const { directory, directoryOwner, held } = place
    const { guest, host } = forward
    const destination: Destination =
      typeof guest === 'number' ? { kind: 'tcp', port: guest } : { kind: 'unix', path: guest }
    const name = forwardName(forward)
    if (host !== undefined || destination.kind === 'tcp') {
      const { port, ...opened } = (host && held?.take(host)) || (await openForwardPort(forward, this.#options))
      this.#listeners.add(opened)
      opened.lead(destination, this.#options.streams)
      return { name, kind: 'tcp', host: LOOPBACK, port, address: `${LOOPBACK}:${port}` }
    }
    const path = join(directory, forwardSocket(name))
    await this.addSocket({ localPath: path, directoryOwner, destination })
    return { name, kind: 'unix', path, address: path }
  }

  /** Lets the guest connect to a port of this machine. @throws as `HostPorts.open` */
  addHostPort(options: HostPortOptions): Promise<void> {
    return this.#hostPorts.open(options)
  }

  /** Sockets for the guest's dockerd that were added, in this order. */
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
    const all = [...this.list(), ...this.#listeners]
    this.#open.clear()
    this.#listeners.clear()
    await Promise.all([this.#hostPorts.close(), this.#ports?.close(), ...all.map((socket) => socket.close())])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * The ports of this machine that an entry's forwards ask for by number, from before its VM is started until it has them: so none is
 * started in vain, also where several are at the same time.
 */
export class HeldPorts implements AsyncDisposable {
  readonly #held = new Map<number, HeldPort>()

  private constructor() {}

  /** @throws ForwardPortTakenError, and then none is held */
  static async hold({ name, forwards }: Pick<KernelEntry, 'name' | 'forwards'>, log: Logger): Promise<HeldPorts> {
    const ports = new HeldPorts()
    try {
      for (const forward of forwards)
        if (forward.host !== undefined)
          ports.#held.set(forward.host, await openForwardPort(forward, { entry: name, log }))
      return ports
    } catch (thrown) {
      await ports[Symbol.asyncDispose]()
      throw thrown
    }
  }

  /** Whoever takes it closes it. Undefined for one that is not held. */
  take(port: number): HeldPort | undefined {
    const held = this.#held.get(port)
    this.#held.delete(port)
    return held
  }

  /** Gives up those that nobody took. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#held.values()].map((port) => port.close()))
    this.#held.clear()
  }
}

/** The port that the forward names, or one that is free. @throws ForwardPortTakenError */
async function openForwardPort(
  forward: ForwardOptions,
  { entry, log }: { readonly entry?: string | undefined; readonly log: Logger },
): Promise<HeldPort> {
  const { host: port = 0 } = forward
  try {
    return await holdOnLoopback({ address: LOOPBACK, port }, log)
  } catch (cause) {
    throw new ForwardPortTakenError({
      what: `port ${port} of ${LOOPBACK}, which the forward '${forwardName(forward)}' asks for, cannot be opened`,
      entry,
      remedy: `leave host out, and one that is free is taken; or end what listens there (\`ss -tlnp sport = :${port}\`)`,
      cause,
    })
  }
}

/** @param next is called when the client says something; it may have come for the greeting alone */
function greet(socket: Socket, greeting: string, next: () => void): void {
  socket.on('error', () => {})
  socket.write(greeting)
  socket.once('readable', () => {
    if (socket.readableLength > 0) next()
    else socket.destroySoon()
  })
}
