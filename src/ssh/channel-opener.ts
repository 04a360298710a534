import type { Client, ClientChannel, PseudoTtyOptions } from 'ssh2'
import { reasonOf } from '../errors/index.ts'
import { ChannelStream } from './channel-stream.ts'
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
    this.#open.add(stream)
    channel.once('close', () => this.#open.delete(stream))
    return stream
  }
}
