import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number }

export interface EngineRelay extends AsyncDisposable {
  readonly path: string
  /** Ends all connections, and there will be no others: the engine went away. */
  cut(): void
}

/** The engine at another address, where it can be cut off. */
export async function startEngineRelay(path: string, target: Target): Promise<EngineRelay> {
  const open = new Set<Socket>()
  const destroy = (sockets: Iterable<Socket>) => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((near) => {
    const far = connect('socketPath' in target ? { path: target.socketPath } : target)
    for (const socket of [near, far]) {
      open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => destroy([near, far]))
    }
    near.pipe(far).pipe(near)
  })
  server.listen(path)
  await once(server, 'listening')
  const cut = () => {
    server.close()
    destroy(open)
  }
  return { path, cut, [Symbol.asyncDispose]: async () => cut() }
}
