import { randomInt } from 'node:crypto'
import { reasonOf } from '../../errors/index.ts'
import type { PortPublishers, Published, Publisher } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Settings } from '../../options/index.ts'
import type { Family, Streams } from '../../streams/index.ts'
import { PortNotForwardedError } from '../errors.ts'
import { type Listener, listenOnLoopback } from '../listen.ts'
import { listenForDatagrams } from './datagram-listener.ts'

export interface PublishedPortsOptions {
  /** Of this machine's loopback, and this VM's alone. */
  readonly address: string
  readonly streams: Streams
  /** The guest's. */
  readonly publishers: PortPublishers
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
  /** How many ports of one VM may be open here at a time: each takes a descriptor of this process, which all VMs share. @default 4096 */
  readonly mostPorts?: number | undefined
}

const MOST_PORTS = 4_096

/** Of which all VMs of a machine may have to share the ports. */
const SHARED_ADDRESS = '127.0.0.1'

/**
 * An address of the loopback device that no other VM of this machine is likely to have, so that two of them may publish the same port.
 * Linux has all of 127.0.0.0/8 there; other systems have 127.0.0.1 alone, where a port that is taken is another one for the second VM.
 */
export function loopbackAddress(ports: Settings['ports']): string {
  if (process.platform !== 'linux' || ports === 'localhost') return SHARED_ADDRESS
  return `127.${randomInt(64, 128)}.${randomInt(256)}.${randomInt(1, 255)}`
}

/** Containers that restart by themselves fail again and again, and nobody asks why. */
const MOST_FAILURES = 100

/** Ports that containers and services of a VM publish, at an address of this machine: opened when one starts, closed when it ends. */
export class PublishedPorts {
  readonly #options: PublishedPortsOptions
  readonly #over = new AbortController()
  /** By publisher's id, then by port as `portText` has it. */
  readonly #open = new Map<string, Map<string, OpenPort>>()
  /** Ports that are open, and those that are being opened: publishers do that side by side. */
  #count = 0
  /** Why a publisher was ended, for who started it: an event may have told us of its start before he asks. */
  readonly #failures = new Map<string, unknown>()
  /** The last work on each publisher: two at once would open a port twice. */
  readonly #working = new Map<string, Promise<void>>()

  private constructor(options: PublishedPortsOptions) {
    this.#options = options
  }

  /** Opens what is published already, and from now on what others publish. @throws PortNotForwardedError */
  static async follow(options: PublishedPortsOptions): Promise<PublishedPorts> {
    const ports = new PublishedPorts(options)
    try {
      const changes = await options.publishers.changes(ports.#over.signal)
      await Promise.all((await options.publishers.list()).map((publisher) => ports.#update(publisher)))
      void ports.#followChanges(changes)
      return ports
    } catch (thrown) {
      await ports.close()
      throw thrown
    }
  }

  /**
   * Resolves when what a container or a service publishes is open here. One that publishes a port which cannot be is ended, as the
   * engine itself does not let it start.
   * @throws PortNotForwardedError
   */
  async opened(publisher: Publisher): Promise<void> {
    const found = await this.#options.publishers.inspect(publisher)
    if (found !== undefined) await this.#update({ ...publisher, id: found.id })
    // One that was removed with its end is not there any more: clients start it by its id.
    const id = found?.id ?? publisher.id
    const failure = this.#failures.get(id)
    this.#failures.delete(id)
    if (failure !== undefined) throw failure
  }

  /** Where a container's ports are that are not at their own numbers, by port as the docker command line writes it (`80/tcp`). */
  moved(containerId: string): ReadonlyMap<string, number> {
    const open = [...(this.#open.get(containerId) ?? [])]
    return new Map(open.flatMap(([text, { port, at }]) => (at === port ? [] : [[text, at]])))
  }

  /** Whether any port is not at its own number. */
  get hasMoved(): boolean {
    return [...this.#open.values()].some((ports) => [...ports.values()].some(({ port, at }) => at !== port))
  }

  async close(): Promise<void> {
    this.#over.abort()
    await Promise.allSettled(this.#working.values())
    await Promise.all(
      [...this.#open.values()].flatMap((ports) => [...ports.values()].map((listener) => listener.close())),
    )
    this.#open.clear()
  }

  async #followChanges(changes: AsyncIterable<Publisher>): Promise<void> {
    const { log } = this.#options
    try {
      for await (const publisher of changes) void this.#update(publisher).catch((error) => log.debug(reasonOf(error)))
    } catch (error) {
      if (!this.#over.signal.aborted) log.debug(`published ports are not followed any more: ${reasonOf(error)}`)
    }
  }

  /** Makes what is open what is published now. */
  #update(publisher: Publisher): Promise<void> {
    const { id } = publisher
    const before = this.#working.get(id) ?? Promise.resolve()
    const work = before.catch(() => {}).then(() => this.#updateNow(publisher))
    this.#working.set(id, work)
    const forget = () => {
      if (this.#working.get(id) === work) this.#working.delete(id)
    }
    work.then(forget, forget)
    return work
  }

  async #updateNow(publisher: Publisher): Promise<void> {
    if (this.#over.signal.aborted) return
    const { publishers, log } = this.#options
    const { id } = publisher
    const wanted = forwardable((await publishers.inspect(publisher))?.published ?? [])
    const open = this.#open.get(id) ?? new Map<string, OpenPort>()
    for (const [port, listener] of open) {
      if (wanted.has(port)) continue
      open.delete(port)
      this.#count--
      await listener.close()
    }
    this.#open.set(id, open)
    if (wanted.size > 0) this.#failures.delete(id)
    try {
      for (const [text, port] of wanted) if (!open.has(text)) open.set(text, await this.#listen(publisher, port))
    } catch (thrown) {
      this.#remember(id, thrown)
      log.warn(reasonOf(thrown))
      await publishers.end(publisher)
    } finally {
      if (open.size === 0) this.#open.delete(id)
    }
  }

  /** For who starts it; of those that nobody asks for, the newest. */
  #remember(id: string, failure: unknown): void {
    this.#failures.set(id, failure)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > MOST_FAILURES && oldest !== undefined) this.#failures.delete(oldest)
  }

  async #listen({ kind, id }: Publisher, { protocol, port, family }: ForwardedPort): Promise<OpenPort> {
    const { address, streams, log, entry, mostPorts = MOST_PORTS } = this.#options
    if (this.#count >= mostPorts)
      throw new PortNotForwardedError({
        what: `port ${portText({ protocol, port })}, which the ${kind} ${id.slice(0, 12)} publishes, is one more than the ${mostPorts} of a VM that are opened here at a time`,
        entry,
        remedy: 'publish fewer ports, or remove containers that publish some',
      })
    this.#count++
    try {
      const listen = protocol === 'udp' ? listenForDatagrams : listenOnLoopback
      const destination = { kind: protocol, port, family }
      const { close, port: at } = await listen({ address, port, destination }, streams, log).catch((thrown) => {
        // What clients read of a service is the swarm's, of which other VMs are members.
        if (address !== SHARED_ADDRESS || kind === 'service' || thrown.code !== 'EADDRINUSE') throw thrown
        return listen({ address, port: 0, destination }, streams, log)
      })
      log[at === port ? 'debug' : 'info'](
        `port ${portText({ protocol, port })} of ${kind} ${id.slice(0, 12)} is at ${address}:${at}`,
      )
      return { close, port, at }
    } catch (cause) {
      this.#count--
      const text = protocol === 'udp' ? `UDP port ${port}` : `port ${port}`
      throw new PortNotForwardedError({
        what: `${text}, which the ${kind} ${id.slice(0, 12)} publishes, cannot be opened at ${address}`,
        entry,
        remedy:
          (cause as NodeJS.ErrnoException).code === 'EACCES'
            ? 'publish a port from 1024 up, or let users open lower ones (`sudo sysctl net.ipv4.ip_unprivileged_port_start=0`)'
            : `publish another port, or end what listens there (\`ss -${protocol === 'udp' ? 'u' : 't'}lnp sport = :${port}\`)`,
        cause,
      })
    }
  }
}

interface ForwardedPort {
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
  /** That it is published over, in the guest. */
  readonly family: Family
}

interface OpenPort extends Listener {
  /** The guest's. */
  readonly port: number
  /** This machine's. */
  readonly at: number
}

/** As the docker command line writes it. */
function portText({ protocol, port }: Pick<ForwardedPort, 'protocol' | 'port'>): string {
  return `${port}/${protocol}`
}

/** The addresses of all that a guest has, and what leads to a port that is published there. */
const everywhere: Readonly<Record<string, Family>> = { '': 'IPv4', '0.0.0.0': 'IPv4', '::': 'IPv6' }

/**
 * What is published for everybody; at one address of the guest it is for the guest, as it is for the machine of a local engine. Most is published
 * over both, as what has no address is: IPv4 leads to it then.
 */
function forwardable(published: Published['published']): Map<string, ForwardedPort> {
  const ports = new Map<string, ForwardedPort>()
  for (const { protocol, hostIp, port } of published) {
    const family = everywhere[hostIp]
    if ((protocol !== 'tcp' && protocol !== 'udp') || family === undefined) continue
    const text = portText({ protocol, port })
    if (family === 'IPv4' || !ports.has(text)) ports.set(text, { protocol, port, family })
  }
  return ports
}
