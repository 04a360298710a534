import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { type Engine, newOwnership, type Ownership, prune, runLabels } from '../../src/engine/index.ts'
import { formatOwner, thisOwner } from '../../src/engine/owner.ts'
import { baseImage } from '../support/env.ts'

let engine: Engine
beforeAll(async () => {
  const { engineUnderTest } = await import('./support.ts')
  engine = await engineUnderTest()
})

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp().catch(() => {})
})

/** A network, a volume, and a container that runs and uses both. */
async function makeThings({ run, owner }: Ownership): Promise<readonly string[]> {
  const { docker } = engine
  const labels = runLabels({ run, owner })
  const name = `testkernels-e2e-${run}`
  const network = await docker.createNetwork({ Name: name, Labels: labels })
  cleanUps.push(() => network.remove())
  await docker.createVolume({ Name: name, Labels: labels })
  cleanUps.push(() => docker.getVolume(name).remove())
  const container = await docker.createContainer({
    name,
    Image: baseImage,
    Cmd: ['sleep', '1000'],
    Labels: labels,
    HostConfig: { NetworkMode: name, Binds: [`${name}:/volume`] },
  })
  cleanUps.push(() => container.remove({ force: true }))
  await container.start()
  return [`container ${name}`, `network ${name}`, `volume ${name}`]
}

async function thingsOf(run: string): Promise<readonly string[]> {
  const filters = { label: [`testkernels.run=${run}`] }
  const containers = await engine.docker.listContainers({ all: true, filters })
  const networks = await engine.docker.listNetworks({ filters })
  const { Volumes: volumes } = await engine.docker.listVolumes({ filters })
  return [
    ...containers.map(({ Names }) => `container ${Names[0]?.slice(1)}`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...(volumes ?? []).map(({ Name }) => `volume ${Name}`),
  ]
}

async function deadOwner(): Promise<string> {
  const child = spawn('true')
  await once(child, 'exit')
  return formatOwner({ ...thisOwner(), pid: child.pid ?? 0 })
}

test('removes what a dead owner left, and nothing of the living', async () => {
  const dead = { ...newOwnership(), owner: await deadOwner() }
  const living = newOwnership()
  const elsewhere = { ...newOwnership(), owner: '1@elsewhere.example.org' }
  const left = await makeThings(dead)
  const ours = await makeThings(living)
  const theirs = await makeThings(elsewhere)

  const { removed, refused } = await prune(engine)

  expect(removed.map(({ kind, name }) => `${kind} ${name}`)).toEqual(expect.arrayContaining([...left]))
  expect(refused.filter(({ name }) => name.includes(dead.run))).toEqual([])
  expect(await thingsOf(dead.run)).toEqual([])
  expect(await thingsOf(living.run)).toEqual(ours)
  expect(await thingsOf(elsewhere.run)).toEqual(theirs)
})

test('prunes that run at the same time do not get in each other’s way', async () => {
  const dead = { ...newOwnership(), owner: await deadOwner() }
  await makeThings(dead)
  await Promise.all([prune(engine), prune(engine), prune(engine)])
  // One may have seen a network as still used by a container that another was just removing.
  await prune(engine)
  expect(await thingsOf(dead.run)).toEqual([])
})
