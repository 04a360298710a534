import type { Duplex } from 'node:stream'
import { reasonOf } from '../errors/index.ts'
import { neverAborted, orAborted, Slots, startDeadline, untilClosed } from '../lifetime/index.ts'
import { SshChannelRefusedError, type SshConnection } from '../ssh/index.ts'
import { type Destination, refused, StreamRefusedError, type Streams, StreamsLostError } from './streams.ts'

/** Through the door at a time, where each is a program: enough for a bulk transfer beside a few requests, and nothing of it is encrypted. */
export const MOST_AT_THE_DOOR = 3

/** Over one connection at a time; more wait. The guest's server looks after 1,000 channels, and select() after 1,024 files. */
export const MOST_CHANNELS = 500

/** As for a stream through the door: who waits has it anew whenever others get on. */
const OPEN_DEADLINE_MS = 60_000

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
export function sparingStreams({ door, ...over }: SparingOptions): Streams {
  const overSsh = channels(over)
  let atTheDoor = 0
  const throughDoor: Streams['open'] = async (destination, options) => {
    atTheDoor++
    const place = { [Symbol.dispose]: () => void atTheDoor-- }
    try {
      return untilClosed(await door.open(destination, options), place)
    } catch (thrown) {
      place[Symbol.dispose]()
      throw thrown
    }
  }
  return {
    async open(destination, options = {}) {
      const { signal, turn } = options
      if (turn === 'first' || destination.kind === 'udp' || destination.kind === 'directory')
        return await door.open(destination, options)
      if (atTheDoor < MOST_AT_THE_DOOR) return await throughDoor(destination, options)
      try {
        return await overSsh(destination, signal)
      } catch (thrown) {
        if (thrown instanceof StreamRefusedError || thrown instanceof StreamsLostError || signal?.aborted) throw thrown
        return await throughDoor(destination, options)
      }
    },
  }
}

/** Opens streams over one SSH connection. */
function channels({ ssh, entry }: Omit<SparingOptions, 'door'>) {
  const slots = new Slots(MOST_CHANNELS)
  const waiting = new Set<() => void>()
  const open = async (destination: SshDestination, signal: AbortSignal) => {
    const slot = await slots.take(signal)
    const opening = openChannel(ssh, destination)
    try {
      const stream = await orAborted(opening, signal)
      for (const tell of waiting) tell()
      return untilClosed(stream, slot)
    } catch (thrown) {
      slot[Symbol.dispose]()
      // One that comes after all is nobody's.
      opening.then((late) => late.destroy()).catch(() => {})
      throw thrown
    }
  }
  return async (destination: SshDestination, signal = neverAborted()): Promise<Duplex> => {
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
      return await open(destination, deadline.signal)
    } finally {
      waiting.delete(deadline.restart)
    }
  }
}

async function openChannel(ssh: Pick<SshAccess, 'connection'>, destination: SshDestination): Promise<Duplex> {
  try {
    return await connectTo(destination, await ssh.connection())
  } catch (thrown) {
    if (thrown instanceof SshChannelRefusedError) throw refused(destination, reasonOf(thrown.cause), thrown.entry)
    throw thrown
  }
}

function connectTo(destination: SshDestination, connection: SshConnection): Promise<Duplex> {
  return destination.kind === 'unix'
    ? connection.openUnixStream(destination.path)
    : connection.openTcpStream('127.0.0.1', destination.port)
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
