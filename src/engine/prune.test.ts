import { expect, test } from 'vitest'
import { answerJson, type FakeEngine, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { connectEngine } from './connect.ts'
import { type Leftover, listAbandoned, prune } from './prune.ts'

const ours = { 'testkernels.run': '0123456789ab' }
const nowS = Math.floor(Date.now() / 1000)

interface Stored {
  readonly containers?: readonly { readonly Id: string; readonly State: string; readonly Created: number }[]
  /** With the ids of the containers that have them. */
  readonly volumes?: Readonly<Record<string, readonly string[]>>
  /** On which no container is. */
  readonly networks?: readonly string[]
  /** Statuses of removals. */
  readonly removal?: Readonly<Record<string, number>>
}

/** An engine with things of runs, a template, and images. As one does, it removes no volume that a container has. */
function startStore({ containers = [], volumes = {}, networks = [], removal = {} }: Stored = {}): Promise<FakeEngine> {
  const left = new Set(containers.map(({ Id }) => Id))
  const isFree = (volume: string) => !(volumes[volume] ?? []).some((container) => left.has(container))
  return startFakeEngine((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://engine')
    if (request.method === 'DELETE') {
      const isFreed = left.delete(pathname.replace('/containers/', ''))
      const status = isFreed || isFree(pathname.replace('/volumes/', '')) ? 204 : 409
      response.writeHead(removal[pathname] ?? (pathname.startsWith('/images/') ? 200 : status))
      response.end('{"message": "container abc is using it"}')
      return
    }
    const filters = JSON.parse(searchParams.get('filters') ?? '{}') as Readonly<Record<string, readonly string[]>>
    const ofRuns = Object.keys(volumes).map((Name) => ({ Name, Labels: ours }))
    const wanted = {
      'testkernels.run': ofRuns.filter(({ Name }) => filters['dangling'] === undefined || isFree(Name)),
      'testkernels.image': [{ Name: 'template', Labels: { 'testkernels.image': 'template' } }],
    }[filters['label']?.[0] ?? '']
    answerJson({
      '/info': goodInfo,
      '/containers/json': containers
        .filter(({ Id, State }) => left.has(Id) && filters['status']?.includes(State))
        .map((container) => ({ ...container, Names: [`/${container.Id}`] })),
      '/volumes': { Volumes: wanted },
      '/networks': networks.map((Name) => ({ Id: `id-of-${Name}`, Name })),
      '/images/json': [
        { Id: 'sha256:old', Created: 1, RepoTags: ['testkernels/base:trixie', 'mine:latest'] },
        { Id: 'sha256:new', Created: 2, RepoTags: ['<none>:<none>'] },
      ],
    })(request, response)
  })
}

const named = (things: readonly Leftover[]) => things.map(({ kind, name }) => `${kind} ${name}`)

const removals = ({ requests }: FakeEngine) => requests.filter((request) => request.startsWith('DELETE'))

test('a container that runs stays with its volume, whoever its owner is, and what no container has goes', async () => {
  await using fake = await startStore({
    containers: [
      { Id: 'lives', State: 'running', Created: 1 },
      { Id: 'ended', State: 'exited', Created: nowS },
    ],
    volumes: { held: ['lives'], 'of-ended': ['ended'], unused: [] },
  })
  const engine = await connectEngine({ address: fake.address })
  expect(named(await listAbandoned(engine))).toEqual(['container ended', 'volume unused'])
  expect(removals(fake)).toEqual([])
  const { removed, refused } = await prune(engine)
  expect(named(removed)).toEqual(['container ended', 'volume of-ended', 'volume unused'])
  expect(refused).toEqual([])
  expect(removals(fake).join()).not.toContain('force')
})

test('a container that was made just now may still be started; in a minute, nobody will', async () => {
  await using fake = await startStore({
    containers: [
      { Id: 'new', State: 'created', Created: nowS },
      { Id: 'old', State: 'created', Created: nowS - 120 },
    ],
    volumes: { 'of-new': ['new'], 'of-old': ['old'] },
  })
  const engine = await connectEngine({ address: fake.address })
  expect(named((await prune(engine)).removed)).toEqual(['container old', 'volume of-old'])
})

test('a network of a run that no container is on goes, unless one has come meanwhile', async () => {
  const networks = ['testkernels-lab', 'testkernels-used']
  await using fake = await startStore({ networks, removal: { '/networks/id-of-testkernels-used': 403 } })
  const engine = await connectEngine({ address: fake.address })
  expect(named(await listAbandoned(engine))).toEqual(networks.map((name) => `network ${name}`))
  const { removed, refused } = await prune(engine)
  expect([named(removed), named(refused)]).toEqual([['network testkernels-lab'], ['network testkernels-used']])
  const asked = fake.requests.filter((request) => request.startsWith('GET /networks'))
  expect(decodeURIComponent(asked[0] ?? '')).toContain('{"label":["testkernels.run"],"dangling":["true"]}')
})

test('one that was started after all is told, and stays', async () => {
  const old = { Id: 'old', State: 'created', Created: 1 }
  await using fake = await startStore({ containers: [old], removal: { '/containers/old': 409 } })
  const engine = await connectEngine({ address: fake.address })
  const { removed, refused } = await prune(engine)
  expect([named(removed), named(refused)]).toEqual([[], ['container old']])
})

test('caches stay unless asked for', async () => {
  await using fake = await startStore()
  const engine = await connectEngine({ address: fake.address })
  expect(await prune(engine)).toEqual({ removed: [], refused: [] })
  expect(removals(fake)).toEqual([])
})

test('caches go by each of their names, those that build on others first', async () => {
  await using fake = await startStore()
  const engine = await connectEngine({ address: fake.address })
  const { removed } = await prune(engine, { caches: ['image', 'volume'] })
  expect(named(removed)).toEqual([
    'volume template',
    'image sha256:new',
    'image testkernels/base:trixie',
    'image mine:latest',
  ])
  expect(removals(fake)).toHaveLength(4)
})

test('what is in use is told with the reason, what is gone already is not, and neither stops the rest', async () => {
  await using fake = await startStore({ removal: { '/volumes/template': 409, '/images/sha256:new': 404 } })
  const engine = await connectEngine({ address: fake.address })
  const { removed, refused } = await prune(engine, { caches: ['image', 'volume'] })
  expect(refused).toEqual([
    { kind: 'volume', id: 'template', name: 'template', reason: expect.stringContaining('container abc is using it') },
  ])
  expect(removed.map(({ name }) => name)).toContain('mine:latest')
})
