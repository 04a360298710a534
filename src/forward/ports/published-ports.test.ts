import { createSocket } from 'node:dgram'
import { EventEmitter, on, once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import type { PortPublishers, Published, Publisher } from '../../host/index.ts'
import { silentLogger as log } from '../../log/index.ts'
import type { Destination, Streams } from '../../streams/index.ts'
import { freePort, takenPort } from '../testing/ports.ts'
import { loopbackAddress, PublishedPorts, type PublishedPortsOptions } from './published-ports.ts'

type PublishedPort = Published['published'][number]
const address = loopbackAddress()
/** What the guest's containers and services publish, by id. */
let containers: Map<string, readonly PublishedPort[]>
let services: Map<string, readonly PublishedPort[]>
const events = new EventEmitter()
const changed = (publisher: Publisher) => void events.emit('change', publisher)
let ended: string[]
let server: Server
let open: PublishedPorts[]
const opened: Destination[] = []

const container = (id: string): Publisher => ({ kind: 'container', id })
const service = (id: string): Publisher => ({ kind: 'service', id })
const everywhere = (port: number): PublishedPort => ({ protocol: 'tcp', hostIp: '0.0.0.0', port })

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
  containers = new Map()
  services = new Map()
  ended = []
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

async function follow(limits: Pick<PublishedPortsOptions, 'mostPorts'> = {}): Promise<PublishedPorts> {
  const ports = await PublishedPorts.follow({ address, streams, publishers: dockerd, log, entry: 'v2', ...limits })
  open.push(ports)
  return ports
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ host: address, port, allowHalfOpen: true })
  await once(socket, 'connect')
  return socket
}

test('a port is open when its container has started, and carries both directions to their ends', async () => {
  const ports = await follow()
  const port = await freePort(address)
  containers.set('web', [everywhere(port), { ...everywhere(port), hostIp: '::' }])
  await ports.opened(container('web'))
  const socket = await dial(port)
  socket.end('hello')
  expect(await text(socket)).toBe('olleh')
  expect(opened).toEqual([{ kind: 'tcp', port }])
})

test('what runs already is open from the start, and what ends is closed', async () => {
  const port = await freePort(address)
  containers.set('web', [everywhere(port)])
  await follow()
  const socket = await dial(port)
  containers.set('web', [])
  changed(container('web'))
  expect(await text(socket)).toBe('')
  await expect.poll(() => dial(port).catch(({ code }) => code)).toBe('ECONNREFUSED')
})

test('a container that is started again with another port has that one alone', async () => {
  const [first, second] = [await freePort(address), await freePort(address)]
  const ports = await follow()
  containers.set('web', [everywhere(first)])
  await ports.opened(container('web'))
  containers.set('web', [everywhere(second)])
  await Promise.all([ports.opened(container('web')), ports.opened(container('web'))])
  ;(await dial(second)).destroy()
  await expect(dial(first)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('what is published at one address of the guest, over IPv6 alone, or over SCTP, stays in the guest', async () => {
  const port = await freePort(address)
  const ports = await follow()
  containers.set('web', [
    { ...everywhere(port), hostIp: '127.0.0.1' },
    { ...everywhere(port), hostIp: '::' },
    { ...everywhere(port), protocol: 'sctp' },
  ])
  await ports.opened(container('web'))
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a port that is taken here is an error by name, and its container does not run', async () => {
  const port = await takenPort(address)
  const free = await freePort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  containers.set('other', [everywhere(free)])
  await expect(ports.opened(container('web'))).rejects.toMatchObject({
    code: 'PORT_NOT_FORWARDED',
    message: expect.stringContaining(`v2: port ${port}, which the container web publishes`),
  })
  expect(ended).toEqual(['web'])
  await ports.opened(container('other'))
  ;(await dial(free)).destroy()
})

test('who starts a container reads why it was killed, also when an event told of its start before', async () => {
  const port = await takenPort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  changed(container('web'))
  await expect.poll(() => ended).toEqual(['web'])
  containers.set('web', [])
  await expect(ports.opened(container('web'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED' })
  await ports.opened(container('web'))
})

test('also when the container is removed with its end, and is not there any more', async () => {
  const port = await takenPort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  changed(container('web'))
  await expect.poll(() => ended).toEqual(['web'])
  containers.delete('web')
  changed(container('web'))
  await expect(ports.opened(container('web'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED' })
})

test('a port may be of TCP and of UDP, and each leads to its own', async () => {
  const ports = await follow()
  const port = await freePort(address)
  containers.set('dns', [everywhere(port), { ...everywhere(port), protocol: 'udp' }])
  await ports.opened(container('dns'))
  ;(await dial(port)).destroy()
  const client = createSocket('udp4')
  onTestFinished(() => void client.close())
  client.send('hello', port, address)
  await expect.poll(() => opened).toContainEqual({ kind: 'udp', port })
  containers.set('dns', [everywhere(port)])
  await ports.opened(container('dns'))
  const now = createSocket('udp4').bind(port, address)
  onTestFinished(() => void now.close())
  await once(now, 'listening')
  ;(await dial(port)).destroy()
})

test('a service of a swarm has its ports as a container has, and is removed when one cannot be opened', async () => {
  const [first, second, taken] = [await freePort(address), await freePort(address), await takenPort(address)]
  services.set('there', [everywhere(first)])
  const ports = await follow()
  ;(await dial(first)).destroy()
  services.set('web', [everywhere(second)])
  await ports.opened(service('web'))
  ;(await dial(second)).destroy()
  services.delete('web')
  changed(service('web'))
  await expect.poll(() => dial(second).catch(({ code }) => code)).toBe('ECONNREFUSED')
  services.set('clash', [everywhere(taken)])
  await expect(ports.opened(service('clash'))).rejects.toThrow(`port ${taken}, which the service clash publishes`)
  expect(ended).toEqual(['clash'])
})

test('no VM has more ports open here than it may', async () => {
  const ports = await follow({ mostPorts: 2 })
  containers.set('few', [everywhere(await freePort(address)), everywhere(await freePort(address))])
  await ports.opened(container('few'))
  containers.set('more', [everywhere(await freePort(address))])
  const message = expect.stringContaining('one more than the 2 of a VM')
  await expect(ports.opened(container('more'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED', message })
  expect(ended).toEqual(['more'])
  // One that ends makes room, and of two that come at once one finds it.
  containers.set('few', [])
  await ports.opened(container('few'))
  const three = ['one', 'two', 'three']
  for (const id of three) containers.set(id, [everywhere(await freePort(address))])
  const results = await Promise.allSettled(three.map((id) => ports.opened(container(id))))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
})

test('a UDP port that is taken here is an error by name', async () => {
  const port = await freePort(address)
  const taken = createSocket('udp4').bind(port, address)
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const ports = await follow()
  containers.set('dns', [{ ...everywhere(port), protocol: 'udp' }])
  await expect(ports.opened(container('dns'))).rejects.toMatchObject({
    code: 'PORT_NOT_FORWARDED',
    message: expect.stringMatching(new RegExp(`UDP port ${port}, which the container dns publishes[^]*ss -ulnp`)),
  })
})

test('a connection that the guest refuses is reset', async () => {
  const ports = await follow()
  containers.set('web', [everywhere(1)])
  const failure = await ports.opened(container('web')).catch((error) => error)
  // Only root opens port 1; the error for others is that of another test.
  if (failure !== undefined) return expect(failure).toMatchObject({ code: 'PORT_NOT_FORWARDED' })
  const [error] = await once(connect({ host: address, port: 1 }), 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

test('nothing is open after the end, and a container that starts later changes nothing', async () => {
  const port = await freePort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  await ports.opened(container('web'))
  await ports.close()
  await ports.opened(container('web'))
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
