import { hostname } from 'node:os'
import type { Duplex } from 'node:stream'
import { beforeEach, expect, test } from 'vitest'
import { answerJson, type FakeEngine, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { runAttached } from './attached-container.ts'
import { connectEngine } from './connect.ts'
import type { ContainerOptions } from './container-options.ts'
import { requestJson } from './request.ts'

interface Answer {
  readonly status: number
  readonly message?: string
}

const removed = (id: string): Answer => ({ status: 404, message: `No such container: ${id}` })

let attached: Duplex[]

beforeEach(() => {
  attached = []
})

/** An engine that makes `made-1`, `made-2` and so on, and answers each start as it is told. */
function startEngine(
  starts: readonly Answer[],
  onNetwork?: () => Promise<void>,
  holder?: unknown,
): Promise<FakeEngine> {
  let made = 0
  let started = 0
  let held = holder !== undefined
  return startFakeEngine(
    (request, response) => {
      const path = request.url?.split('?')[0] ?? ''
      // Nothing happens to any container.
      if (path === '/events') response.writeHead(200).flushHeaders()
      else if (request.method === 'DELETE') {
        if (path === '/containers/holder') held = false
        response.writeHead(204).end()
      } else if (held && path === '/containers/create')
        response
          .writeHead(409)
          .end('{"message": "The container name \\"/lab.one\\" is already in use by container \\"holder\\""}')
      else if (path === '/containers/lab.one/json') {
        held = !(holder as { ends?: boolean }).ends
        answerJson({ [path]: holder })(request, response)
      } else if (path === '/networks/create' && onNetwork)
        void onNetwork().then(() => response.writeHead(201).end('{}'))
      else if (path.endsWith('/start')) {
        const { status, message } = starts[started++] ?? { status: 204 }
        response.writeHead(status).end(message === undefined ? undefined : JSON.stringify({ message }))
      } else {
        if (path === '/containers/create') made++
        const container = { Id: `made-${made}`, NetworkSettings: {} }
        const byPath = {
          '/info': goodInfo,
          '/containers/create': container,
          '/networks/create': {},
          '/networks/lab/connect': {},
          [`/containers/made-${made}/json`]: container,
        }
        answerJson(byPath)(request, response)
      }
    },
    (stream) => attached.push(stream),
  )
}

async function run(fake: FakeEngine, options: Partial<ContainerOptions> = {}, signal?: AbortSignal) {
  const engine = await connectEngine({ address: fake.address })
  return await runAttached(engine, { image: 'some', labels: {}, ...options }, signal && { signal })
}

const creations = ({ requests }: FakeEngine) => requests.filter((request) => request.includes('/containers/create'))

test.each([
  ['removed', removed('made-1')],
  ['being removed', { status: 409, message: 'container is marked for removal and cannot be started' }],
])('one that is %s by somebody before its start, who took it for a leftover, is made again', async (_, start) => {
  await using fake = await startEngine([start])
  const { id } = await run(fake)
  expect(id).toBe('made-2')
  // Nobody is attached to the first any more.
  await expect.poll(() => attached.map(({ destroyed }) => destroyed)).toEqual([true, false])
})

test('one whose network somebody took for a leftover before its start is made again, and joins it by its name', async () => {
  await using fake = await startEngine([{ status: 404, message: 'network 0123abcd not found' }])
  const { id } = await run(fake, { joins: { network: 'lab', name: 'one' } })
  expect(id).toBe('made-2')
  const joined = (request: string) => /containers.create|networks/.test(request)
  const times = ['POST /containers/create?name=lab.one', 'POST /networks/create', 'POST /networks/lab/connect']
  expect(fake.requests.filter(joined)).toEqual([...times, ...times])
})

test('one that is given up while it joins a network goes when it has joined, and leaves nobody behind there', async () => {
  const abort = new AbortController()
  // The engine has answered by the time that we have given up, and done so a few times over.
  await using fake = await startEngine([], async () => {
    abort.abort(new Error('given up'))
    for (let turns = 0; turns < 3; turns++) await requestJson(fake.address, { path: '/info' })
  })
  await expect(run(fake, { joins: { network: 'lab', name: 'one' } }, abort.signal)).rejects.toThrow('given up')
  const ofThese = fake.requests.filter((request) => /networks|DELETE/.test(request))
  expect(ofThese).toEqual([
    'POST /networks/create',
    'POST /networks/lab/connect',
    expect.stringMatching(/^DELETE .*made-1/),
  ])
})

const ours = { 'testkernels.run': '0123456789ab' }
const LONG_AGO = '2020-01-01T00:00:00.000000000Z'
interface Holding {
  readonly Labels?: Readonly<Record<string, string>>
  readonly Created?: string
}
const holderOf = (Status: string, { Labels = ours, Created = LONG_AGO }: Holding = {}) => ({
  Id: 'holder',
  Created,
  State: { Status },
  Config: { Labels },
})
const ownedBy = (pid: number, machine = hostname()) =>
  holderOf('running', { Labels: { ...ours, 'testkernels.owner': `${pid}@${machine}` } })

test.each(['created', 'exited', 'dead'])('what a run left %s no longer has its name', async (status) => {
  await using fake = await startEngine([], undefined, holderOf(status))
  expect(await run(fake, { joins: { network: 'lab', name: 'one' } })).toMatchObject({ id: 'made-1' })
  expect(fake.requests).toContain('DELETE /containers/holder?v=1')
})

/** Of no process: Linux has none beyond 2^22. */
const NOBODY = 2 ** 30

test.each([
  ['is being removed', holderOf('removing')],
  ['runs on for a moment after its owner', ownedBy(NOBODY)],
  ['runs on after its owner in another container or on another machine', ownedBy(process.pid, 'elsewhere')],
])('the name of one that %s is waited for', async (_, holder) => {
  await using fake = await startEngine([], undefined, { ...holder, ends: true })
  expect(await run(fake, { joins: { network: 'lab', name: 'one' } })).toMatchObject({ id: 'made-1' })
  expect(fake.requests.filter((request) => request.startsWith('DELETE'))).toEqual([])
})

test.each([
  ['runs', ownedBy(process.pid)],
  ['is about to be started', holderOf('created', { Created: new Date().toISOString() })],
  ["is no run's", holderOf('exited', { Labels: {} })],
])('one that %s keeps its name', async (_, holder) => {
  await using fake = await startEngine([], undefined, holder)
  await expect(run(fake, { joins: { network: 'lab', name: 'one' } })).rejects.toMatchObject({
    code: 'NETWORK_NAME_TAKEN',
  })
  expect(fake.requests.filter((request) => request.startsWith('DELETE'))).toEqual([])
})

test('one that is removed again and again is an error', async () => {
  await using fake = await startEngine([1, 2, 3].map((made) => removed(`made-${made}`)))
  await expect(run(fake)).rejects.toMatchObject({
    code: 'CONTAINER_NOT_STARTED',
    message: expect.stringContaining('No such container: made-3'),
  })
  expect(creations(fake)).toHaveLength(3)
})

test('one that cannot be started is not made again', async () => {
  await using fake = await startEngine([{ status: 404, message: 'network nowhere not found' }])
  await expect(run(fake)).rejects.toMatchObject({ code: 'CONTAINER_NOT_STARTED' })
  expect(creations(fake)).toHaveLength(1)
})
