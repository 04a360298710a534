import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { reasonOf } from '../../errors/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import { datagramsIn, frameOf, type Streams } from '../../streams/index.ts'
import type { Listener, LoopbackPort } from '../listen.ts'

/** A client who neither sends nor is sent anything for so long is forgotten: as long as the engine's own proxy remembers one. */
export const CLIENT_IDLE_MS = 90_000

/** Clients of one port that are remembered at a time. For one more, the one that has been silent for the longest is forgotten. */
export const MOST_CLIENTS = 256

/** Of what a client sends faster than the guest takes it, so much is kept: what a receive buffer of Linux holds, or more. */
const MOST_WAITING_BYTES = 1 << 20

/**
 * Receives at a UDP port of this machine what goes on to one of the guest; answers go back to who is answered. Each client
 * has a stream of its own, so that the guest tells them apart. What cannot be delivered is lost, as on any network.
 * @throws what Node throws for an address that cannot be bound, such as EADDRINUSE
 */
export async function listenForDatagrams(
  { address, port, destination = { kind: 'udp', port } }: LoopbackPort,
  streams: Streams,
  log: Logger = silentLogger,
): Promise<Listener & { readonly port: number }> {
  const socket = createSocket('udp4')
  /** By address and port, the one that was silent for the longest first. */
  const clients = new Map<string, Client>()
  const begin = (key: string, from: RemoteInfo): Client => {
    const client = new Client({
      open: () => streams.open(destination),
      // Nobody waits for what becomes of a datagram.
      answer: (datagram) => socket.send(datagram, from.port, from.address, () => {}),
      ended: (why) => {
        if (clients.get(key) === client) clients.delete(key)
        if (why !== undefined) log.debug(`${address}:${port}/udp, client ${key}: ${reasonOf(why)}`)
      },
    })
    return client
  }
  socket.on('message', (datagram, from) => {
    const key = `${from.address}:${from.port}`
    const known = clients.get(key)
    if (known === undefined && clients.size >= MOST_CLIENTS) clients.values().next().value?.end()
    const client = known ?? begin(key, from)
    clients.delete(key)
    clients.set(key, client)
    client.send(datagram)
  })
  try {
    socket.bind({ address, port, exclusive: true })
    await once(socket, 'listening')
  } catch (cause) {
    socket.close()
    throw cause
  }
  socket.on('error', (error) => log.warn(`${address}:${port}/udp: ${error.message}`))
  return {
    port: socket.address().port,
    close: async () => {
      for (const client of clients.values()) client.end()
      socket.close()
      await once(socket, 'close')
    },
  }
}

interface ClientOptions {
  readonly open: () => Promise<Duplex>
  readonly answer: (datagram: Buffer) => void
  /** Is called once, with what its stream failed with, if it did. */
  readonly ended: (why?: unknown) => void
}

/** Who sends from one port of this machine. */
class Client {
  readonly #options: ClientOptions
  readonly #idle = setTimeout(() => this.end(), CLIENT_IDLE_MS).unref()
  #stream: Duplex | undefined
  /** What was sent before there was a stream. */
  #early: Buffer[] = []
  #waitingBytes = 0
  #over = false

  constructor(options: ClientOptions) {
    this.#options = options
    this.#carry().then(
      () => this.end(),
      (error) => this.end(error),
    )
  }

  send(datagram: Buffer): void {
    this.#idle.refresh()
    const frame = frameOf(datagram)
    if (this.#waitingBytes + frame.length > MOST_WAITING_BYTES) return
    this.#waitingBytes += frame.length
    if (this.#stream === undefined) this.#early.push(frame)
    else this.#write(this.#stream, frame)
  }

  end(why?: unknown): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#idle)
    this.#early = []
    this.#stream?.destroy()
    this.#options.ended(why)
  }

  async #carry(): Promise<void> {
    const stream = await this.#options.open()
    if (this.#over) return void stream.destroy()
    this.#stream = stream
    for (const frame of this.#early) this.#write(stream, frame)
    this.#early = []
    for await (const datagram of datagramsIn(stream)) {
      this.#idle.refresh()
      this.#options.answer(datagram)
    }
  }

  #write(stream: Duplex, frame: Buffer): void {
    stream.write(frame, () => {
      this.#waitingBytes -= frame.length
    })
  }
}
