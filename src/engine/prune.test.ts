import { expect, test } from 'vitest'
import { answerJson, type FakeEngine, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { connectEngine } from './connect.ts'
import { prune } from './prune.ts'

const store = {
  '/info': goodInfo,
  '/containers/json': [],
  '/networks': [],
  '/volumes': { Volumes: [{ Name: 'template', Labels: { 'testkernels.image': 'template' } }] },
  '/images/json': [
    { Id: 'sha256:old', Created: 1, RepoTags: ['testkernels/base:trixie', 'mine:latest'] },
    { Id: 'sha256:new', Created: 2, RepoTags: ['<none>:<none>'] },
  ],
}

const startStore = (removal: Readonly<Record<string, number>>) =>
  startFakeEngine((request, response) => {
    if (request.method !== 'DELETE') return answerJson(store)(request, response)
    response.writeHead(removal[request.url ?? ''] ?? (request.url?.startsWith('/images/') ? 200 : 204))
    response.end('{"message": "container abc is using it"}')
  })

const removals = ({ requests }: FakeEngine) => requests.filter((request) => request.startsWith('DELETE'))

test('caches stay unless asked for', async () => {
  await using fake = await startStore({})
  const engine = await connectEngine({ address: fake.address })
  expect(await prune(engine)).toEqual({ removed: [], refused: [] })
  expect(removals(fake)).toEqual([])
})

test('caches go by each of their names, those that build on others first', async () => {
  await using fake = await startStore({})
  const engine = await connectEngine({ address: fake.address })
  const { removed } = await prune(engine, { caches: ['image', 'volume'] })
  expect(removed.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    'volume template',
    'image sha256:new',
    'image testkernels/base:trixie',
    'image mine:latest',
  ])
  expect(removals(fake)).toHaveLength(4)
})

test('what is in use is told with the reason, what is gone already is not, and neither stops the rest', async () => {
  await using fake = await startStore({ '/volumes/template': 409, '/images/sha256:new': 404 })
  const engine = await connectEngine({ address: fake.address })
  const { removed, refused } = await prune(engine, { caches: ['image', 'volume'] })
  expect(refused).toEqual([
    { kind: 'volume', id: 'template', name: 'template', reason: expect.stringContaining('container abc is using it') },
  ])
  expect(removed.map(({ name }) => name)).toContain('mine:latest')
})
