import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import { reasonOf } from '../errors/index.ts'
import { orAborted, Slots, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import { MOST_HOST_PORTS } from '../options/index.ts'
import { readFirstLine } from '../streams/index.ts'
import { HostPortNotOpenedError } from './errors.ts'
import { splice } from './listen.ts'

export interface HostPortsOptions {
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

export interface HostPortOptions {
  /** Of this machine's localhost, and of `host.testkernels.internal` in the guest. */
  readonly port: number
  /** Connects to where the VM's container takes offers (images/door/host-ports.c). */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
  /** Aborts when the VM is gone. */
  readonly gone: AbortSignal
}

/** A container answers within milliseconds; one of another machine, through an engine that is busy, within seconds. */
const OFFER_DEADLINE_MS = 60_000
/** Longer than any answer to an offer. */
const ANSWER_MAX_BYTES = 256
/**
 * At a time, through all ports of a VM: a guest that wants more waits. With an engine on another machine each connection, and the offer of each
 * port, is a process in the VM's container, whose limit of processes is there for QEMU's threads.
 */
const MOST_CONNECTIONS = 64
const RETRY_MS = { minTimeout: 50, maxTimeout: 2_000 }

/** Ports of this machine that a guest, and its containers, may connect to. */
export class HostPorts {
  readonly #options: HostPortsOptions
  /** By their numbers. Each has one offer in the container, however often it is asked for. */
  readonly #opened = new Map<number, Promise<OpenedPort>>()
  readonly #closing = new AbortController()
  readonly #connections = new Slots(MOST_CONNECTIONS)

  constructor(options: HostPortsOptions) {
    this.#options = options
  }

  /**
   * Resolves when the port is open in the container; that nobody listens here is told to each who connects, by a reset.
   * @throws HostPortNotOpenedError; when the VM is gone, with the reason
   */
  async open({ port, dial, gone }: HostPortOptions): Promise<void> {
    const ended = AbortSignal.any([gone, this.#closing.signal])
    ended.throwIfAborted()
    const opened = this.#opened.get(port) ?? this.#offer({ ...this.#options, port, dial, ended })
    await opened
  }

  #offer(options: Omit<Serving, 'connections'>): Promise<OpenedPort> {
    const { port, entry } = options
    if (this.#opened.size === MOST_HOST_PORTS)
      throw new HostPortNotOpenedError({
        what: `port ${port} of host.testkernels.internal cannot be opened for the guest, which has ${MOST_HOST_PORTS} ports of this machine already`,
        entry,
        remedy: 'let servers that follow each other listen at the same port, or use one more virtual machine',
      })
    const opening = openPort({ ...options, connections: this.#connections })
    this.#opened.set(port, opening)
    // It can be asked for again.
    opening.catch(() => this.#opened.delete(port))
    return opening
  }

  /** Ends what is being opened as well. */
  async close(): Promise<void> {
    const stopped = new HostPortNotOpenedError({
      what: 'no port of host.testkernels.internal can be opened for the guest any more',
      entry: this.#options.entry,
      remedy: 'stop the virtual machine when its ports are open',
      cause: 'the virtual machine was stopped',
    })
    this.#closing.abort(stopped)
    await Promise.all([...this.#opened.values()].map((opened) => opened.then(({ served }) => served).catch(() => {})))
  }
}

interface OpenedPort {
  /** Resolves when it has ended, and all its connections. */
  readonly served: Promise<void>
}

interface Serving extends Omit<HostPortOptions, 'gone'>, HostPortsOptions {
  /** Aborts when nobody is to be served any more. */
  readonly ended: AbortSignal
  /** Each connection takes one. */
  readonly connections: Slots
}

async function openPort(options: Serving): Promise<OpenedPort> {
  const first = await offer(options, options.ended)
  return { served: serve(first, options) }
}

/** One offer waits in the container at any time; connections for which there is none yet wait there as well. */
async function serve(first: Duplex, options: Serving): Promise<void> {
  const { port, log, ended, connections } = options
  /** Connections of the guest that are open. */
  const carried = new Set<Duplex>()
  for (let stream: Duplex | undefined = first; stream !== undefined; stream = await offerAgain(options)) {
    const answer = await orAborted(readFirstLine(stream, ANSWER_MAX_BYTES), ended).catch(reasonOf)
    const slot = answer === 'connected' ? await connections.take(ended).catch(() => undefined) : undefined
    if (slot !== undefined && !stream.destroyed) {
      const one = stream
      carried.add(one)
      one.once('close', () => {
        carried.delete(one)
        slot[Symbol.dispose]()
      })
      toService(one, port)
    } else {
      slot?.[Symbol.dispose]()
      stream.destroy()
      if (!ended.aborted) log.debug(`port ${port} of this machine is offered to the guest again: ${answer}`)
    }
  }
  for (const stream of carried) stream.destroy()
}

/** Undefined when it is not to be offered any more. */
async function offerAgain(options: Serving): Promise<Duplex | undefined> {
  const { ended } = options
  return await pRetry(() => offer(options, ended), {
    ...RETRY_MS,
    retries: Number.POSITIVE_INFINITY,
    signal: ended,
  }).catch(() => undefined)
}

/** Resolves when it waits for somebody of the guest. */
async function offer({ port, dial, entry }: Serving, signal: AbortSignal): Promise<Duplex> {
  const refuse = (cause: unknown) =>
    new HostPortNotOpenedError({
      what: `port ${port} of host.testkernels.internal cannot be opened for the guest`,
      entry,
      remedy:
        port < 1024
          ? 'choose a port from 1024 on: not every engine lets its containers listen below (net.ipv4.ip_unprivileged_port_start)'
          : 'start the virtual machine again, and with --debug if it stays so',
      cause,
    })
  using deadline = startDeadline({
    ms: OFFER_DEADLINE_MS,
    onPassed: () => refuse(`its container did not answer within ${OFFER_DEADLINE_MS / 1000} s`),
    signal,
  })
  const stream = await dial(deadline.signal)
  // Whoever has the stream hears of its errors: until then they are what the offer fails with.
  stream.on('error', () => {})
  try {
    stream.write(`${port}\n`)
    const answer = await orAborted(readFirstLine(stream, ANSWER_MAX_BYTES), deadline.signal)
    if (answer === 'listening') return stream
    throw refuse(answer?.replace(/^error /, '') ?? 'its container ended the connection')
  } catch (thrown) {
    stream.destroy()
    throw thrown
  }
}

/** To whoever listens at this machine's loopback device, over IPv4 or IPv6. */
function toService(stream: Duplex, port: number): void {
  const socket = connect({ host: 'localhost', port, allowHalfOpen: true, noDelay: true })
  socket.on('error', () => stream.destroy())
  splice(socket, stream)
}
