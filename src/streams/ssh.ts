import type { Duplex } from 'node:stream'
import { reasonOf } from '../errors/index.ts'
import { neverAborted, orAborted, Slots, startDeadline, untilClosed } from '../lifetime/index.ts'
import { SshChannelRefusedError, type SshConnection } from '../ssh/index.ts'
import { type Destination, refused, type Streams, StreamsLostError } from './streams.ts'

/** Through the door at a time, where each is a program: enough for a bulk transfer beside a few requests, and nothing of it is encrypted. */
export const MOST_AT_THE_DOOR = 3

/** Over one connection at a time; more wait. The guest's server looks after 1,000 channels, and select() after 1,024 files. */
export const MOST_CHANNELS = 500

/** Of UDP at a time, each with its client's: what they wait for must not be what Docker's clients wait for. */
export const MOST_DATAGRAM_STREAMS = 96

/** As for a stream through the door: who waits has it anew whenever others get on. */
const OPEN_DEADLINE_MS = 60_000

/** Longer than the first connection of an emulated guest takes; then the door is the better way. */
export const CONNECTION_DEADLINE_MS = 20_000

/** What SSH carries: bytes alone. */
type SshDestination = Exclude<Destination, { readonly kind: 'udp' | 'directory' }>

export interface SparingOptions {
  readonly door: Streams
  readonly ssh: Pick<SshAccess, 'connection'>
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/**
 * Ways into a guest whose engine is elsewhere. Each stream through its door is a program in its box there, and a connection to the engine:
 * a few go that way, and all beside them are channels of the one SSH connection into the guest, which itself came through the door.
 * Datagrams, directories and what has to go first are always the door's, and so is all where there is no SSH connection to be had.
 */
export function sparingStreams({ door, ssh, entry }: SparingOptions): Streams {
  const openChannel = channels(entry)
  const datagrams = new Slots(MOST_DATAGRAM_STREAMS)
  let atTheDoor = 0
  const throughDoor: Streams['open'] = async (destination, options) => {
    atTheDoor++
    const place = { [Symbol.dispose]: () => void atTheDoor-- }
    return await holding(place, () => door.open(destination, options))
  }
  return {
    async open(destination, options = {}) {
      const { signal = neverAborted(), turn } = options
      if (destination.kind === 'udp')
        return await holding(await datagrams.take(signal), () => door.open(destination, options))
      if (destination.kind === 'directory' || turn === 'first') return await door.open(destination, options)
      if (atTheDoor < MOST_AT_THE_DOOR) return await throughDoor(destination, options)
      const connection = await connected(ssh, signal)
      if (connection === undefined) return await throughDoor(destination, options)
      try {
        return await openChannel(connection, destination, signal)
      } catch (thrown) {
        if (!connection.ended.aborted || signal.aborted) throw thrown
        return await throughDoor(destination, options)
      }
    },
  }
}

/** A stream that holds something until it is closed. @throws what opening it fails with */
async function holding(held: Disposable, open: () => Promise<Duplex>): Promise<Duplex> {
  try {
    return untilClosed(await open(), held)
  } catch (thrown) {
    held[Symbol.dispose]()
    throw thrown
  }
}

/** The connection; undefined where there is none, and none comes in time. @throws the signal's reason */
async function connected(ssh: Pick<SshAccess, 'connection'>, signal: AbortSignal): Promise<SshConnection | undefined> {
  using deadline = startDeadline({ ms: CONNECTION_DEADLINE_MS, onPassed: () => new Error('none came'), signal })
  return await orAborted(ssh.connection(), deadline.signal).catch(() => {
    signal.throwIfAborted()
    return undefined
  })
}

/** Opens streams over SSH connections, so many at a time. */
function channels(entry: string | undefined) {
  const slots = new Slots(MOST_CHANNELS)
  const waiting = new Set<() => void>()
  const open = async (connection: SshConnection, destination: SshDestination, signal: AbortSignal) => {
    const opening = connectTo(destination, connection)
    try {
      const stream = await orAborted(opening, signal)
      for (const tell of waiting) tell()
      return stream
    } catch (thrown) {
      // One that comes after all is nobody's.
      opening.then((late) => late.destroy()).catch(() => {})
      throw thrown
    }
  }
  return async (connection: SshConnection, destination: SshDestination, signal: AbortSignal): Promise<Duplex> => {
    using deadline = startDeadline({
      ms: OPEN_DEADLINE_MS,
      onPassed: () =>
        new StreamsLostError({
          what: `the virtual machine's SSH server opened no stream within ${OPEN_DEADLINE_MS / 1000} s`,
          entry,
          remedy: 'read its console: it stopped, crashed or has no memory left',
        }),
      signal,
    })
    waiting.add(deadline.restart)
    try {
      const slot = await slots.take(deadline.signal)
      return await holding(slot, () => open(connection, destination, deadline.signal))
    } finally {
      waiting.delete(deadline.restart)
    }
  }
}

/** @throws StreamRefusedError; what the connection was lost by */
async function connectTo(destination: SshDestination, connection: SshConnection): Promise<Duplex> {
  try {
    return destination.kind === 'unix'
      ? await connection.openUnixStream(destination.path)
      : await connection.openTcpStream(destination.family === 'IPv6' ? '::1' : '127.0.0.1', destination.port)
  } catch (thrown) {
    if (thrown instanceof SshChannelRefusedError) throw refused(destination, reasonOf(thrown.cause), thrown.entry)
    throw thrown
  }
}

/** The SSH connection into a guest, made when it is first needed, and made anew when it was lost. */
export class SshAccess implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<SshConnection>
  readonly #closed = new AbortController()
  #connecting: Promise<SshConnection> | undefined

  /** @param connect makes a connection; its signal aborts with `close()` */
  constructor(connect: (signal: AbortSignal) => Promise<SshConnection>) {
    this.#connect = connect
  }

  /** The one that there is, or a new one. @throws what connecting fails with; after `close()`, that it is closed */
  connection(): Promise<SshConnection> {
    if (this.#connecting !== undefined) return this.#connecting
    const connecting = this.#begin()
    this.#connecting = connecting
    const forget = () => {
      this.#connecting = undefined
    }
    connecting.then(({ ended }) => {
      if (ended.aborted) forget()
      else ended.addEventListener('abort', forget, { once: true })
    }, forget)
    return connecting
  }

  /** Ends the connection, or the making of it; there will be none any more. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the virtual machine was stopped'))
    const connection = await this.#connecting?.catch(() => undefined)
    await connection?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #begin(): Promise<SshConnection> {
    this.#closed.signal.throwIfAborted()
    return await this.#connect(this.#closed.signal)
  }
}
