import { Duplex } from 'node:stream'
import type { Client, ClientChannel, PseudoTtyOptions } from 'ssh2'
import { reasonOf } from '../errors/index.ts'
import { SshChannelRefusedError, SshConnectionLostError, SshExecFailedError } from './errors.ts'

type Answer = (error: Error | undefined, channel: ClientChannel) => void

/** What fits into the window of a terminal, in characters. */
export interface WindowSize {
  readonly columns: number
  readonly rows: number
}

/** A terminal that a program in the guest has for its input and outputs. */
export interface Terminal extends WindowSize {
  /** Its `TERM`, such as `xterm-256color`. */
  readonly kind: string
}

function pseudoTtyOf({ kind, columns, rows }: Terminal): PseudoTtyOptions {
  return { term: kind, cols: columns, rows, width: 0, height: 0 }
}

export interface ChannelOpenerOptions {
  readonly client: Client
  readonly ended: AbortSignal
  readonly server: string
  readonly entry?: string | undefined
}

/** Opens the channels of one connection and knows those that are open. */
export class ChannelOpener {
  readonly ended: AbortSignal
  readonly entry: string | undefined
  readonly #client: Client
  readonly #server: string
  readonly #open = new Set<ChannelStream>()

  constructor({ client, ended, server, entry }: ChannelOpenerOptions) {
    this.ended = ended
    this.entry = entry
    this.#client = client
    this.#server = server
  }

  openUnix(path: string): Promise<ChannelStream> {
    return this.#openStream(path, (answer) => this.#client.openssh_forwardOutStreamLocal(path, answer))
  }

  openTcp(host: string, port: number): Promise<ChannelStream> {
    // The first pair says where the connection comes from; servers only log it.
    return this.#openStream(`${host}:${port}`, (answer) => this.#client.forwardOut('127.0.0.1', 0, host, port, answer))
  }

  /**
   * Asks the server's shell to run `command`. `onOpened` sees the channel before the server's next message is handled, which
   * may already say how the command ended.
   * @param tty the terminal that it gets; undefined for none
   */
  openCommand<T>(
    command: string,
    tty: Terminal | undefined,
    onOpened: (stream: ChannelStream, channel: ClientChannel) => T,
  ): Promise<T> {
    return this.#request(
      (answer) => this.#client.exec(command, { ...(tty && { pty: pseudoTtyOf(tty) }) }, answer),
      onOpened,
      (cause) =>
        new SshExecFailedError({
          what: `the SSH server at ${this.#server} does not run a command of ${Buffer.byteLength(command)} bytes${tty ? ' on a terminal' : ''}`,
          entry: this.entry,
          remedy: 'send what is long through stdin, and run fewer commands at the same time',
          cause,
        }),
    )
  }

  /** The connection is over, which `ended` says already: no stream goes on. */
  abandonAll(error?: Error): void {
    const abandoned = [...this.#open]
    this.#open.clear()
    for (const stream of abandoned) stream.abandon(error)
  }

  #openStream(target: string, open: (answer: Answer) => unknown): Promise<ChannelStream> {
    return this.#request(
      open,
      (stream) => stream,
      (cause) =>
        new SshChannelRefusedError({
          what: `nothing in the virtual machine accepts connections at ${target}`,
          entry: this.entry,
          remedy: 'the service behind it has stopped or never started: read its log and the console',
          cause,
        }),
    )
  }

  async #request<T>(
    open: (answer: Answer) => unknown,
    onOpened: (stream: ChannelStream, channel: ClientChannel) => T,
    onRefused: (cause: Error) => Error,
  ): Promise<T> {
    this.ended.throwIfAborted()
    return new Promise<T>((resolve, reject) => {
      try {
        open((error, channel) => {
          if (error === undefined || error === null) resolve(onOpened(this.#track(channel), channel))
          else reject(this.ended.aborted ? this.ended.reason : onRefused(error))
        })
      } catch (thrown) {
        // ssh2 throws "Not connected" between the loss of its socket and the event that tells of it.
        reject(
          new SshConnectionLostError({
            what: `the SSH connection to ${this.#server} is lost`,
            entry: this.entry,
            remedy: 'read the console of the virtual machine',
            cause: reasonOf(thrown),
          }),
        )
      }
    })
  }

  #track(channel: ClientChannel): ChannelStream {
    const stream = new ChannelStream(channel)
    // A connection that breaks in the turn in which its server opened the channel: who asked for that has not heard of it yet.
    stream.on('error', () => {})
    this.#open.add(stream)
    channel.once('close', () => this.#open.delete(stream))
    return stream
  }
}

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
