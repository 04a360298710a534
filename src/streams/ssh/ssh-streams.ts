import type { Duplex } from 'node:stream'
import { reasonOf } from '../../errors/index.ts'
import { orAborted } from '../../lifetime/index.ts'
import { SshChannelRefusedError, type SshConnection } from '../../ssh/index.ts'
import type { Destination } from '../destination.ts'
import { refused } from '../errors.ts'
import type { Streams } from '../streams.ts'
import type { SshAccess } from './ssh-access.ts'

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
  try {
    return await connectTo(destination, await ssh.connection())
  } catch (thrown) {
    if (thrown instanceof SshChannelRefusedError) throw refused(destination, reasonOf(thrown.cause), thrown.entry)
    throw thrown
  }
}

function connectTo(destination: Destination, connection: SshConnection): Promise<Duplex> {
  return destination.kind === 'unix'
    ? connection.openUnixStream(destination.path)
    : connection.openTcpStream('127.0.0.1', destination.port)
}
