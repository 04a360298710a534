import { expect, test } from 'vitest'
import { answerJson, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { engineClient } from './connect.ts'
import { inspectDefaultBridge, joinNetwork, nameTaken, removeNetwork } from './networks.ts'
import { EngineRefusal } from './request.ts'

test.each([
  ['has an MTU', { Options: { 'com.docker.network.driver.mtu': '1400' } }, { mtu: 1400, ipv6: false }],
  ['has none', { Options: { 'com.docker.network.bridge.name': 'docker0' } }, { mtu: 1500, ipv6: false }],
  ['has no options', { EnableIPv6: false, Options: null }, { mtu: 1500, ipv6: false }],
  ['has IPv6', { EnableIPv6: true, Options: null }, { mtu: 1500, ipv6: true }],
])('what is known of a default bridge that %s', async (_, bridge, known) => {
  await using fake = await startFakeEngine(answerJson({ '/networks/bridge': bridge }))
  expect(await inspectDefaultBridge(engineClient(fake.address))).toEqual(known)
})

test('an engine without a default bridge has the MTU that networks have when nobody says, and IPv4 alone', async () => {
  await using fake = await startFakeEngine(answerJson({}))
  expect(await inspectDefaultBridge(engineClient(fake.address))).toEqual({ mtu: 1500, ipv6: false })
})

const joins = { network: 'testkernels-lab', name: 'one' }

/** An engine that answers with these statuses, each the last for ever. @returns it, and what it was sent */
async function startNetworks(statuses: Readonly<Record<string, readonly number[]>>, document: unknown = {}) {
  const sent: Record<string, unknown>[] = []
  const left = Object.fromEntries(Object.entries(statuses).map(([path, all]) => [path, [...all]]))
  const fake = await startFakeEngine((request, response) => {
    const all = left[`${request.method} ${request.url}`] ?? []
    const status = (all.length > 1 ? all.shift() : all[0]) ?? 500
    let body = ''
    request.on('data', (piece) => (body += piece))
    request.on('end', () => {
      if (body !== '') sent.push(JSON.parse(body))
      response.writeHead(status).end(JSON.stringify({ message: 'it says why', ...Object(document) }))
    })
  })
  return { fake, sent, client: engineClient(fake.address) }
}

const CREATE = 'POST /networks/create'
const CONNECT = 'POST /networks/testkernels-lab/connect'
const labels = { 'testkernels.run': '0123456789ab' }

test('the first container makes its network, on which it has its name and the engine no address', async () => {
  const { fake, sent, client } = await startNetworks({ [CREATE]: [201], [CONNECT]: [200] })
  await using _ = fake
  await joinNetwork(client, 'made', { joins, labels })
  expect(sent).toEqual([
    {
      Name: 'testkernels-lab',
      CheckDuplicate: true,
      Driver: 'bridge',
      Labels: labels,
      Options: {
        'com.docker.network.driver.mtu': '1500',
        // An interface's name is 15 characters long, or less.
        'com.docker.network.bridge.name': expect.stringMatching(/^tk-[0-9a-f]{12}$/),
        'com.docker.network.bridge.inhibit_ipv4': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'false',
      },
    },
    { Container: 'made', EndpointConfig: { Aliases: ['one'] } },
  ])
})

test('one that is there is joined, and one that another client makes at this moment when he has', async () => {
  const { fake, client } = await startNetworks({ [CREATE]: [403, 409], [CONNECT]: [404, 200] })
  await using _ = fake
  await joinNetwork(client, 'made', { joins, labels })
  expect(fake.requests).toEqual([CREATE, CONNECT, CREATE, CONNECT])
})

test('one that the engine does not make is an error with its reason, and no container is joined by force', async () => {
  const { fake, client } = await startNetworks({ [CREATE]: [403], [CONNECT]: [404] })
  await using _ = fake
  await expect(joinNetwork(client, 'made', { joins, labels, entry: 'v2' })).rejects.toMatchObject({
    code: 'NETWORK_NOT_MADE',
    entry: 'v2',
    message: expect.stringContaining('it says why'),
  })
})

test('a name that another container has is told apart from what else conflicts', () => {
  const conflict = new EngineRefusal(
    409,
    'Conflict. The container name "/testkernels-lab.one" is already in use by container "abc".',
  )
  expect(nameTaken(joins, conflict, 'v2')).toMatchObject({
    code: 'NETWORK_NAME_TAKEN',
    entry: 'v2',
    what: "another VM is 'one' on the network testkernels-lab",
  })
  expect(nameTaken(joins, new EngineRefusal(409, 'container is marked for removal'))).toBeUndefined()
  expect(nameTaken(joins, new Error('the name is already in use'))).toBeUndefined()
})

test.each([
  [204, 'removed'],
  [404, 'absent'],
  [403, 'in use'],
])('a network whose removal is answered with %i is %s', async (status, result) => {
  const { fake, client } = await startNetworks(
    { 'GET /networks/testkernels-lab': [200], 'DELETE /networks/0123': [status] },
    { Id: '0123', Labels: labels },
  )
  await using _ = fake
  expect(await removeNetwork(client, 'testkernels-lab')).toBe(result)
})

test.each([
  [200, { Id: '0123', Labels: { mine: 'yes' } }, 'not ours'],
  [200, { Id: '0123', Labels: null }, 'not ours'],
  [404, {}, 'absent'],
])('a network that no run made is not removed (%i, %o)', async (status, document, result) => {
  const { fake, client } = await startNetworks({ 'GET /networks/testkernels-lab': [status] }, document)
  await using _ = fake
  expect(await removeNetwork(client, 'testkernels-lab')).toBe(result)
  expect(fake.requests).toEqual(['GET /networks/testkernels-lab'])
})
