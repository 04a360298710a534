import { randomInt } from 'node:crypto'
import { reasonOf } from '../../errors/index.ts'
import type { DockerdContainer, DockerdContainers } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Streams } from '../../streams/index.ts'
import { PortNotForwardedError } from '../errors.ts'
import { listenForDatagrams } from './datagram-listener.ts'
import { type LoopbackListener, listenForConnections } from './loopback-listener.ts'

export interface PublishedPortsOptions {
  /** Of this machine's loopback, and this VM's alone. */
  readonly address: string
  readonly streams: Streams
  /** The guest's. */
  readonly containers: DockerdContainers
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/**
 * An address of the loopback device that no other VM of this machine is likely to have, so that two of them may publish the same port.
 * Linux has all of 127.0.0.0/8 there; other systems have 127.0.0.1 alone, where VMs must not publish the same port at one time.
 */
export function loopbackAddress(): string {
  return process.platform === 'linux' ? `127.${randomInt(64, 128)}.${randomInt(256)}.${randomInt(1, 255)}` : '127.0.0.1'
}

/** Containers that restart by themselves fail again and again, and nobody asks why. */
const MOST_FAILURES = 100

/** Ports that containers of a VM publish, at an address of this machine: opened when a container starts, closed when it ends. */
export class PublishedPorts {
  readonly #options: PublishedPortsOptions
  readonly #over = new AbortController()
  /** By container id, then by port as `portText` has it. */
  readonly #open = new Map<string, Map<string, LoopbackListener>>()
  /** Why a container was killed, for who started it: an event may have told us of its start before he asks. */
  readonly #failures = new Map<string, unknown>()
  /** The last work on each container: two at once would open a port twice. */
  readonly #working = new Map<string, Promise<void>>()

  private constructor(options: PublishedPortsOptions) {
    this.#options = options
  }

  /** Opens what containers publish that run already, and from now on what others do. @throws PortNotForwardedError */
  static async follow(options: PublishedPortsOptions): Promise<PublishedPorts> {
    const ports = new PublishedPorts(options)
    try {
      const changes = await options.containers.changes(ports.#over.signal)
      await Promise.all((await options.containers.running()).map((id) => ports.#update(id)))
      void ports.#followChanges(changes)
      return ports
    } catch (thrown) {
      await ports.close()
      throw thrown
    }
  }

  /**
   * Resolves when what a container publishes is open here. One that publishes a port which cannot be is killed, as the engine itself
   * does not let it start.
   * @throws PortNotForwardedError
   */
  async opened(container: string): Promise<void> {
    const found = await this.#options.containers.inspect(container)
    if (found !== undefined) await this.#update(found.id)
    // One that was to be removed with its end is not there any more: clients start it by its id.
    const id = found?.id ?? container
    const failure = this.#failures.get(id)
    this.#failures.delete(id)
    if (failure !== undefined) throw failure
  }

  async close(): Promise<void> {
    this.#over.abort()
    await Promise.allSettled(this.#working.values())
    await Promise.all(
      [...this.#open.values()].flatMap((ports) => [...ports.values()].map((listener) => listener.close())),
    )
    this.#open.clear()
  }

  async #followChanges(changes: AsyncIterable<string>): Promise<void> {
    const { log } = this.#options
    try {
      for await (const id of changes) void this.#update(id).catch((error) => log.debug(reasonOf(error)))
    } catch (error) {
      if (!this.#over.signal.aborted) log.debug(`published ports are not followed any more: ${reasonOf(error)}`)
    }
  }

  /** Makes what is open what the container publishes now. */
  #update(id: string): Promise<void> {
    const before = this.#working.get(id) ?? Promise.resolve()
    const work = before.catch(() => {}).then(() => this.#updateNow(id))
    this.#working.set(id, work)
    const forget = () => {
      if (this.#working.get(id) === work) this.#working.delete(id)
    }
    work.then(forget, forget)
    return work
  }

  async #updateNow(id: string): Promise<void> {
    if (this.#over.signal.aborted) return
    const { containers, log } = this.#options
    const container = await containers.inspect(id)
    const wanted = forwardable(container?.published ?? [])
    const open = this.#open.get(id) ?? new Map<string, LoopbackListener>()
    for (const [port, listener] of open) {
      if (wanted.has(port)) continue
      open.delete(port)
      await listener.close()
    }
    this.#open.set(id, open)
    if (wanted.size > 0) this.#failures.delete(id)
    try {
      for (const [text, port] of wanted) if (!open.has(text)) open.set(text, await this.#listen(id, port))
    } catch (thrown) {
      this.#remember(id, thrown)
      log.warn(reasonOf(thrown))
      await containers.kill(id)
    } finally {
      if (open.size === 0) this.#open.delete(id)
    }
  }

  /** For who starts the container; of those that nobody asks for, the newest. */
  #remember(id: string, failure: unknown): void {
    this.#failures.set(id, failure)
    const [oldest] = this.#failures.keys()
    if (this.#failures.size > MOST_FAILURES && oldest !== undefined) this.#failures.delete(oldest)
  }

  async #listen(id: string, { protocol, port }: ForwardedPort): Promise<LoopbackListener> {
    const { address, streams, log, entry } = this.#options
    try {
      const listen = protocol === 'udp' ? listenForDatagrams : listenForConnections
      const listener = await listen({ address, port }, streams, log)
      log.debug(`port ${portText({ protocol, port })} of container ${id.slice(0, 12)} is at ${address}`)
      return listener
    } catch (cause) {
      const text = protocol === 'udp' ? `UDP port ${port}` : `port ${port}`
      throw new PortNotForwardedError({
        what: `${text}, which the container ${id.slice(0, 12)} publishes, cannot be opened at ${address}`,
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
}

/** As the docker command line writes it. */
function portText({ protocol, port }: ForwardedPort): string {
  return `${port}/${protocol}`
}

/**
 * What is published for everybody. At one address of the guest it is for the guest, as it is for the machine of a local engine; and so is
 * what is published over IPv6 alone, because no way into the guest has that. What is published without an address is at `0.0.0.0` as well.
 */
function forwardable(published: DockerdContainer['published']): Map<string, ForwardedPort> {
  const everywhere = ['', '0.0.0.0']
  const ports = new Map<string, ForwardedPort>()
  for (const { protocol, hostIp, port } of published) {
    if ((protocol !== 'tcp' && protocol !== 'udp') || !everywhere.includes(hostIp)) continue
    ports.set(portText({ protocol, port }), { protocol, port })
  }
  return ports
}
