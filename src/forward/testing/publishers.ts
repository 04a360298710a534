import { EventEmitter, on, once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach } from 'vitest'
import type { PortPublishers, Published, Publisher } from '../../host/index.ts'
import { silentLogger as log } from '../../log/index.ts'
import type { Destination, Streams } from '../../streams/index.ts'
import { loopbackAddress, PublishedPorts, type PublishedPortsOptions } from '../ports/published-ports.ts'

type PublishedPort = Published['published'][number]
export const address = loopbackAddress('auto')
/** What the guest's containers and services publish, by id. */
export const containers = new Map<string, readonly PublishedPort[]>()
export const services = new Map<string, readonly PublishedPort[]>()
const events = new EventEmitter()
export const changed = (publisher: Publisher) => void events.emit('change', publisher)
export const ended: string[] = []
let server: Server
let open: PublishedPorts[]
export const opened: Destination[] = []

export const container = (id: string): Publisher => ({ kind: 'container', id })
export const service = (id: string): Publisher => ({ kind: 'service', id })
export const everywhere = (port: number): PublishedPort => ({ protocol: 'tcp', hostIp: '0.0.0.0', port })

/** A guest with one service, which turns what it reads round. */
const streams: Streams = {
  open: async (destination) => {
    opened.push(destination)
    if (destination.kind === 'tcp' && destination.port === 1) throw new Error('refused')
    const socket = connect({ ...(server.address() as { port: number }), host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  },
}

const dockerd: PortPublishers = {
  inspect: async ({ kind, id }) => {
    const published = (kind === 'container' ? containers : services).get(id)
    return published && { id, published }
  },
  list: async () => [...[...containers.keys()].map(container), ...[...services.keys()].map(service)],
  changes: async (signal) => {
    const changes = on(events, 'change', { signal })
    return (async function* () {
      for await (const [publisher] of changes) yield publisher
    })()
  },
  end: async ({ id }) => void ended.push(id),
}

beforeEach(async () => {
  containers.clear()
  services.clear()
  ended.length = 0
  open = []
  opened.length = 0
  server = createServer({ allowHalfOpen: true }, (socket) => {
    let said = ''
    socket.on('data', (piece) => (said += piece))
    socket.once('end', () => socket.end([...said].reverse().join('')))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(async () => {
  for (const ports of open) await ports.close()
  server.close()
})

export async function follow(other: Partial<PublishedPortsOptions> = {}): Promise<PublishedPorts> {
  const ports = await PublishedPorts.follow({ address, streams, publishers: dockerd, log, entry: 'v2', ...other })
  open.push(ports)
  return ports
}

/** @param at an address of this machine; the VM's own unless it is said */
export async function dial(port: number, at = address): Promise<Socket> {
  const socket = connect({ host: at, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}
