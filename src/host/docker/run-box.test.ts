import { expect, test } from 'vitest'
import { answerJson, type FakeEngine, goodInfo, startFakeEngine } from '../../../fixtures/engine/fake-engine.ts'
import { connectEngine } from '../../engine/index.ts'
import { silentLogger as log } from '../../log/index.ts'
import { localMachine } from './machine.ts'
import { runBox } from './run-box.ts'

const { signal } = new AbortController()
const joins = { network: 'testkernels-lab', name: 'one' }
const networks = {
  'testkernels-lab': { IPAddress: '172.20.0.2', IPPrefixLen: 16, MacAddress: '02:42:ac:14:00:02' },
  bridge: {
    IPAddress: '172.17.0.5',
    IPPrefixLen: 16,
    GlobalIPv6Address: 'fd00:1::5',
    MacAddress: '02:42:ac:11:00:05',
  },
}

/** An engine that makes one container, and answers its start with this status. */
function startEngine(startStatus: number): Promise<FakeEngine> {
  const container = { Id: 'made', NetworkSettings: { Networks: networks } }
  return startFakeEngine(
    (request, response) => {
      const path = request.url?.split('?')[0] ?? ''
      if (path === '/events') response.writeHead(200).flushHeaders()
      else if (request.method === 'DELETE') response.writeHead(204).end()
      else if (path.endsWith('/start')) response.writeHead(startStatus).end('{"message": "it says why"}')
      else
        answerJson({
          '/info': goodInfo,
          '/containers/create': container,
          '/containers/made/json': container,
          '/networks/create': {},
          '/networks/testkernels-lab': { Id: '0123', Labels: { 'testkernels.run': '0123456789ab' } },
          '/networks/testkernels-lab/connect': {},
        })(request, response)
    },
    () => {},
  )
}

async function run(fake: FakeEngine) {
  const engine = await connectEngine({ address: fake.address })
  const machine = localMachine(engine)
  const spec = { image: 'some', entry: 'one', network: 'reachable', joins } as const
  return await runBox({ engine, run: '0123456789ab', machine, ports: 'auto' }, spec, { signal, log })
}

test('a box has its ports on the default bridge, and a place on the network that it joined', async () => {
  await using fake = await startEngine(204)
  const { address, ipv6Address, endpoint } = await run(fake)
  expect([address, ipv6Address]).toEqual(['172.17.0.5', 'fd00:1::5'])
  expect(endpoint).toEqual({ address: '172.20.0.2', prefixLength: 16, macAddress: '02:42:ac:14:00:02' })
})

test('one that cannot be started takes the network with it that it made, unless others are there', async () => {
  await using fake = await startEngine(500)
  await expect(run(fake)).rejects.toMatchObject({ code: 'CONTAINER_NOT_STARTED' })
  expect(fake.requests.at(-1)).toBe('DELETE /networks/0123')
})
