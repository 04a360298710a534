import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'

/**
 * An ssh2 channel that keeps Node's promises about streams. The channel itself does not: its destroy() ends the stream
 * gracefully, writes to one that the server closed are never called back, and on a lost connection it ends as if the
 * server had finished.
 *
 * The two directions end one by one. Once the server has closed the channel, what is written is dropped, as it would be by
 * a socket, and the stream closes when all that came has been read.
 */
export class ChannelStream extends Duplex {
  readonly #channel: ClientChannel
  #closed = false
  #unwritten: (() => void) | undefined

  constructor(channel: ClientChannel) {
    // Both directions may end before the server tells a program's exit status: the server closes, unless we destroy.
    super({ allowHalfOpen: true, autoDestroy: false })
    this.#channel = channel
    channel.on('data', (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) channel.pause()
    })
    channel.once('end', () => this.push(null))
    channel.on('error', (error: Error) => this.destroy(error))
    channel.once('close', () => {
      this.#closed = true
      this.#written()
      if (this.readableEnded) this.destroy()
      else this.once('end', () => this.destroy())
    })
  }

  /**
   * The connection is over: nothing may be sent any more. Who reads must not take a lost connection for the end of the
   * stream, hence the error; a connection of which we closed our end has none.
   */
  abandon(error: Error | undefined): void {
    silence(this.#channel)
    this.#closed = true
    this.destroy(error)
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#unwritten = done
    if (!this.#mayWrite) this.#written()
    else this.#channel.write(chunk, () => this.#written())
  }

  override _final(done: () => void): void {
    if (this.#mayWrite) this.#channel.end(done)
    else done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#closed) this.#channel.close()
    // The channel says that it closed only to who reads it to the end. Reading makes ssh2 offer room for more, and Dropbear
    // ends the whole connection at a message for a channel that is closed.
    silence(this.#channel)
    this.#channel.resume()
    this.#written()
    done(error)
  }

  get #mayWrite(): boolean {
    return !this.#closed && this.#channel.writable
  }

  #written(): void {
    const done = this.#unwritten
    this.#unwritten = undefined
    done?.()
  }
}

/** The parts of an ssh2 1.17 channel that its types do not show. All that we know of them is in this file. */
interface Internals {
  readonly outgoing: { readonly id: number; state: 'open' | 'eof' | 'closing' | 'closed' }
  readonly _client: { readonly _protocol: { signal(channel: number, name: string): void } }
}

/**
 * Sends a signal to the program of a channel. ssh2's own method sends none once stdin has ended, though that says nothing
 * about the program.
 */
export function sendSignal(channel: ClientChannel, name: NodeJS.Signals): void {
  const { outgoing, _client } = channel as unknown as Internals
  if (outgoing.state === 'open' || outgoing.state === 'eof')
    _client._protocol.signal(outgoing.id, name.replace(/^SIG/, ''))
}

/**
 * Keeps a channel silent that has sent its last message, or whose connection is lost. ssh2 would go on to offer room for
 * data after a close, and on a lost connection it throws from stream callbacks where nobody can catch it.
 */
function silence(channel: ClientChannel): void {
  const { outgoing } = channel as unknown as Internals
  outgoing.state = 'closed'
}
