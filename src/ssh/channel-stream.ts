import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { silence } from './ssh2-internals.ts'

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
