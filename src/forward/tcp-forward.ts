import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Logger, silentLogger } from '../log/index.ts'
import type { SshConnection } from '../ssh/index.ts'
import { ForwardListenError } from './errors.ts'
import { listen } from './listen.ts'
import { splice } from './splice.ts'

export interface TcpForwardOptions {
  readonly connection: SshConnection
  /** Host as the guest reaches it. @default '127.0.0.1' */
  readonly remoteHost?: string | undefined
  readonly remotePort: number
  /** Address of this machine to listen at. @default '127.0.0.1' */
  readonly localHost?: string | undefined
  /** 0 takes any free port. @default 0 */
  readonly localPort?: number | undefined
  readonly log?: Logger | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** A port of this machine whose connections end at a port of the guest. */
export interface ForwardedPort extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Ends every stream and frees the port; memoised. */
  close(): Promise<void>
}

/** For where the VM's own address cannot be reached. @throws ForwardListenError */
export async function forwardTcpPort(options: TcpForwardOptions): Promise<ForwardedPort> {
  const { connection, remoteHost = '127.0.0.1', remotePort, entry, log = silentLogger } = options
  const { localHost = '127.0.0.1', localPort = 0 } = options
  const where = `${localHost}:${localPort}`
  const listener = await listen({
    where: { host: localHost, port: localPort },
    onSocket: (local) => {
      local.on('error', () => {})
      connection.openTcpStream(remoteHost, remotePort).then(
        (remote) => carry(local, remote),
        (error: Error) => {
          log.debug(`${where}: ${error.message}`)
          local.resetAndDestroy()
        },
      )
    },
    onError: (error) => log.warn(`${where}: ${error.message}`),
  }).catch((cause) => {
    throw new ForwardListenError({
      what: `nothing can listen at ${where}`,
      entry,
      remedy: 'use another port, or 0 for any that is free',
      cause,
    })
  })
  const { address, port } = listener.server.address() as AddressInfo
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= listener.close()
    return closing
  }
  return { host: address, port, close, [Symbol.asyncDispose]: close }
}

function carry(local: Socket, remote: Duplex): void {
  if (local.destroyed) return void remote.destroy()
  splice(local, remote)
  // A client that waits for more must not take a lost connection for the end.
  remote.once('close', () => (remote.errored ? local.resetAndDestroy() : local.destroySoon()))
}
