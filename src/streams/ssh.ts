import type { Duplex } from 'node:stream'
import { reasonOf } from '../errors/index.ts'
import { orAborted } from '../lifetime/index.ts'
import { SshChannelRefusedError, type SshConnection } from '../ssh/index.ts'
import { type Destination, refused, type Streams } from './streams.ts'

/** Streams over one SSH connection: for a guest whose run directory is not on this machine. */
export function sshStreams(ssh: Pick<SshAccess, 'connection'>): Streams {
  return {
    async open(destination, { signal } = {}) {
      signal?.throwIfAborted()
      const opening = openChannel(ssh, destination)
      try {
        return await (signal === undefined ? opening : orAborted(opening, signal))
      } catch (thrown) {
        // One that comes after all is nobody's.
        opening.then(
          (stream) => stream.destroy(),
          () => {},
        )
        throw thrown
      }
    },
  }
}

async function openChannel(ssh: Pick<SshAccess, 'connection'>, destination: Destination): Promise<Duplex> {
  if (destination.kind === 'udp') throw refused(destination, 'SSH carries no datagrams')
  if (destination.kind === 'directory') throw refused(destination, 'SSH carries no directories')
  try {
    return await connectTo(destination, await ssh.connection())
  } catch (thrown) {
    if (thrown instanceof SshChannelRefusedError) throw refused(destination, reasonOf(thrown.cause), thrown.entry)
    throw thrown
  }
}

function connectTo(
  destination: Exclude<Destination, { kind: 'udp' | 'directory' }>,
  connection: SshConnection,
): Promise<Duplex> {
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
