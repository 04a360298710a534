import type { Duplex } from 'node:stream'
import type { Client } from 'ssh2'
import type { Logger } from '../log/index.ts'
import { ChannelOpener } from './channels.ts'
import { SshConnectionClosedError, SshConnectionLostError } from './errors.ts'
import { type ExecOptions, type ExecResult, exec, type RemoteProcess, type SpawnOptions, spawn } from './spawn.ts'

/** The server may be gone already: the goodbye is waited for no longer than this. */
const goodbyeTimeoutMs = 250

/** An authenticated connection to the SSH server of one VM. */
export interface SshConnection extends AsyncDisposable {
  /**
   * Aborts the moment the connection is over, before the streams on it end. The reason is an SshConnectionLostError, or an
   * SshConnectionClosedError after close().
   */
  readonly ended: AbortSignal
  /** Runs a program to its end. A failing one is a result, not an error. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult>
  /** Starts a program and gives its streams. */
  spawn(argv: readonly string[], options?: SpawnOptions): Promise<RemoteProcess>
  /** Connects to a unix socket in the guest. */
  openUnixStream(path: string): Promise<Duplex>
  /** Connects to a port that the guest reaches as `host`. */
  openTcpStream(host: string, port: number): Promise<Duplex>
  /** Ends every stream and says goodbye; memoised. */
  close(): Promise<void>
}

export interface ConnectionParts {
  readonly client: Client
  readonly stream: Duplex
  /** Where the server is, for messages. */
  readonly server: string
  readonly entry?: string | undefined
  readonly log: Logger
}

export function createConnection({ client, stream, server, entry, log }: ConnectionParts): SshConnection {
  const end = new AbortController()
  const opener = new ChannelOpener({ client, ended: end.signal, server, entry })
  let failure: unknown
  let closing: Promise<void> | undefined

  const lose = () => {
    if (end.signal.aborted) return
    log.debug(`ssh connection to ${server} lost`)
    const lost = new SshConnectionLostError({
      what: `the SSH connection to ${server} is lost`,
      entry,
      remedy: 'read the console of the virtual machine: it stopped, crashed or was cut off from the network',
      cause: failure,
    })
    end.abort(lost)
    opener.abandonAll(lost)
    // One that may be half open would stay so.
    stream.destroy()
  }
  client.on('error', (error) => {
    failure = error
    lose()
  })
  client.once('end', lose)
  client.once('close', lose)

  const sayGoodbye = async () => {
    end.abort(
      new SshConnectionClosedError({
        what: `the SSH connection to ${server} was closed`,
        entry,
        remedy: 'use the virtual machine only between its start and its stop',
      }),
    )
    opener.abandonAll()
    client.end()
    const timer = setTimeout(() => stream.destroy(), goodbyeTimeoutMs)
    // Not `once`, which fails when the goodbye meets a stream that just broke.
    if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
    clearTimeout(timer)
  }
  const close = () => {
    closing ??= sayGoodbye()
    return closing
  }

  return {
    ended: end.signal,
    exec: (argv, options) => exec(opener, argv, options),
    spawn: (argv, options) => spawn(opener, argv, options),
    openUnixStream: (path) => opener.openUnix(path),
    openTcpStream: (host, port) => opener.openTcp(host, port),
    close,
    [Symbol.asyncDispose]: close,
  }
}
