import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer as createHttpServer, get } from 'node:http'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loopbackAddress } from '../forward/index.ts'
import { silentLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { type OpenOptions, StreamRefusedError, type Streams } from '../streams/index.ts'
import { openEntrance } from './entrance.ts'
import type { Entrance } from './worker-environment.ts'

const entry = parseKernelEntry('v1', {
  kernel: 'debian:trixie',
  forwards: [{ guest: 5432, name: 'database' }, { guest: '/run/own.sock' }],
})
let directory: string
const servers: Server[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-entrance-'))
})
afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  await rm(directory, { recursive: true })
})

async function listening(server: Server, path: string): Promise<string> {
  servers.push(server.listen(path))
  await once(server, 'listening')
  return path
}

/** A guest with a dockerd in which nothing runs, and services that say their guest's name. */
async function startGuest(name: string) {
  const dockerd = createHttpServer(({ url = '' }, response) => {
    if (url.includes('/events')) return response.writeHead(200).flushHeaders()
    if (url.includes('/services')) return void response.writeHead(503).end('{"message":"this is no swarm"}')
    response.end(url.includes('/containers/json') ? '[]' : JSON.stringify({ Name: name }))
  })
  const docker = await listening(dockerd, join(directory, `${name}-dockerd`))
  const services = createServer((socket) => void socket.end(name))
  const others = await listening(services, join(directory, `${name}-services`))
  const death = new AbortController()
  const turns: OpenOptions['turn'][] = []
  const streams: Streams = {
    open: async (destination, { turn = 'waits' } = {}) => {
      turns.push(turn)
      const isDocker = destination.kind === 'unix' && destination.path === '/var/run/docker.sock'
      const stream = connect({ path: isDocker ? docker : others, allowHalfOpen: true })
      await once(stream, 'connect')
      return stream
    },
  }
  return {
    streams,
    /** Of the streams that were opened. */
    turns,
    gone: death.signal,
    die: (why: Error) => death.abort(why),
    stop: () => dockerd.closeAllConnections(),
  }
}

function asked(entrance: Entrance): Promise<string> {
  const socketPath = entrance.dockerHost.replace('unix://', '')
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path: '/info', agent: false }, (response) => resolve(text(response)))
    request.on('error', reject)
  })
}

async function saidAt(entrance: Entrance, forward: string): Promise<string> {
  const at = entrance.forwards[forward]
  if (at === undefined) throw new Error(`${forward} is not forwarded`)
  return await text(connect(at.kind === 'tcp' ? { host: at.host, port: at.port } : { path: at.path }))
}

test('one after another they lead to other guests, and what clients know of them is the same', async () => {
  const address = loopbackAddress('auto')
  const [first, second] = [await startGuest('first'), await startGuest('second')]
  const known: unknown[] = []
  let former: Entrance['forwards'] | undefined
  for (const [guest, name] of [
    [first, 'first'],
    [second, 'second'],
    [first, 'first'],
  ] as const) {
    await using entrance = await openEntrance(
      guest,
      { entry, engine: 'dockerd', log: silentLogger },
      { directory, address, former },
    )
    known.push([entrance.dockerHost, entrance.address, entrance.forwards])
    former = entrance.forwards
    expect(JSON.parse(await asked(entrance))).toEqual({ Name: name })
    expect(await saidAt(entrance, 'database')).toBe(name)
    expect(await saidAt(entrance, 'own')).toBe(name)
    expect((await stat(entrance.dockerHost.replace('unix://', ''))).mode & 0o777).toBe(0o600)
  }
  expect(known).toEqual([known[0], known[0], known[0]])
  // Its own sockets are gone.
  expect((await readdir(directory)).sort()).toEqual([
    'first-dockerd',
    'first-services',
    'second-dockerd',
    'second-services',
  ])
  for (const guest of [first, second]) guest.stop()
})

test('of a guest that is dead, or dies meanwhile, none is opened, and the reason is its death', async () => {
  const place = { directory, address: loopbackAddress('auto') }
  const dead = await startGuest('first')
  dead.die(new Error('kernel panic'))
  await expect(openEntrance(dead, { entry, engine: 'dockerd', log: silentLogger }, place)).rejects.toThrow(
    'kernel panic',
  )
  const dying = await startGuest('second')
  const streams: Streams = {
    open: async () => {
      dying.die(new Error('out of memory'))
      throw new Error('the connection is lost')
    },
  }
  const opened = openEntrance({ streams, gone: dying.gone }, { entry, engine: 'dockerd', log: silentLogger }, place)
  await expect(opened).rejects.toThrow('out of memory')
  for (const guest of [dead, dying]) guest.stop()
})

test('one whose guest dies says so', async () => {
  const guest = await startGuest('first')
  const place = { directory, address: loopbackAddress('auto') }
  await using entrance = await openEntrance(guest, { entry, engine: 'dockerd', log: silentLogger }, place)
  guest.die(new Error('kernel panic'))
  expect(await asked(entrance)).toContain('kernel panic')
  guest.stop()
})

test.each([
  ['containerd', 'the guest has no dockerd: its rootfs has containerd.service, and no docker.service'],
  // Somebody may start one in it.
  ['none', 'nothing listens'],
] as const)('one into a guest with %s is there, and says that no dockerd is', async (engine, says) => {
  const refusal = new StreamRefusedError({ what: 'nothing listens', remedy: 'none' })
  const streams: Streams = { open: async () => await Promise.reject(refusal) }
  const place = { directory, address: loopbackAddress('auto') }
  const guest = { streams, gone: new AbortController().signal }
  await using entrance = await openEntrance(guest, { entry, engine, log: silentLogger }, place)
  expect(await asked(entrance)).toContain(says)
})

test('what is asked of dockerd about published ports, for which answers are held back, goes before the connections of clients', async () => {
  const guest = await startGuest('first')
  const plan = { entry, engine: 'dockerd', log: silentLogger } as const
  await using entrance = await openEntrance(guest, plan, { directory, address: loopbackAddress('auto') })
  const ofOurs = guest.turns.splice(0)
  expect(new Set(ofOurs)).toEqual(new Set(['first']))
  await asked(entrance)
  expect(guest.turns).toEqual(['waits'])
  guest.stop()
})
