import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { engineClient } from './connect.ts'
import { inspectService, removeService, swarmServices } from './containers.ts'

let directory: string
let server: Server
let answer: { status: number; body: unknown }
const asked: string[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-services-'))
  server = createServer(({ method, url }, response) => {
    asked.push(`${method} ${url}`)
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer.body))
  }).listen(join(directory, 'docker.sock'))
  await once(server, 'listening')
})

afterEach(async () => {
  server.close()
  await rm(directory, { recursive: true })
})

const client = () => engineClient({ kind: 'unix', path: join(directory, 'docker.sock') })

const port = (Protocol: string, TargetPort: number, PublishedPort?: number, PublishMode = 'ingress') => ({
  Protocol,
  TargetPort,
  PublishMode,
  ...(PublishedPort !== undefined && { PublishedPort }),
})

test('a service has the ports that it asks for, those that the swarm chose, and none of its tasks', async () => {
  const chosen = port('tcp', 81, 30_000)
  answer = {
    status: 200,
    body: {
      ID: 'c0ffee',
      Spec: { EndpointSpec: { Ports: [port('udp', 53, 5353), port('tcp', 81), port('tcp', 82, 8082, 'host')] } },
      // The last is what the service had before it was changed.
      Endpoint: { Ports: [port('udp', 53, 5353), chosen, port('tcp', 83, 8083)] },
    },
  }
  expect(await inspectService(client(), 'dns')).toEqual({
    id: 'c0ffee',
    published: [
      { protocol: 'udp', hostIp: '', port: 5353 },
      { protocol: 'tcp', hostIp: '', port: 30_000 },
    ],
  })
})

test('one whose port the swarm has not chosen yet has none', async () => {
  answer = { status: 200, body: { ID: 'c0ffee', Spec: { EndpointSpec: { Ports: [port('tcp', 80)] } }, Endpoint: {} } }
  expect(await inspectService(client(), 'web')).toEqual({ id: 'c0ffee', published: [] })
  answer = { status: 200, body: [{ ID: 'c0ffee', Spec: {} }] }
  expect(await swarmServices(client())).toEqual(['c0ffee'])
})

test('an engine that is in no swarm has no services, and one that is gone is none', async () => {
  answer = { status: 503, body: { message: 'This node is not a swarm manager.' } }
  expect(await swarmServices(client())).toEqual([])
  expect(await inspectService(client(), 'web')).toBeUndefined()
  answer = { status: 404, body: { message: 'service web not found' } }
  expect(await inspectService(client(), 'web')).toBeUndefined()
  await removeService(client(), 'c0ffee')
  expect(asked.at(-1)).toBe('DELETE /services/c0ffee')
})

test('what the engine fails with is an error', async () => {
  answer = { status: 500, body: { message: 'no leader' } }
  await expect(swarmServices(client())).rejects.toThrow('no leader')
  await expect(inspectService(client(), 'web')).rejects.toThrow('no leader')
})
