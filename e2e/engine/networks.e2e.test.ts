// Networks that containers of different owners make, share and leave without a word between them: the engine alone knows who is on them.
import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  type AttachedContainer,
  type Engine,
  execStream,
  inspectContainer,
  removeNetwork,
  runAttached,
} from '../../src/engine/index.ts'
import { baseImage } from '../support/env.ts'
import { engineUnderTest, ownRun } from './support.ts'

let engine: Engine
let network: string
const { labels } = ownRun()
const started: AttachedContainer[] = []

beforeAll(async () => {
  engine = await engineUnderTest()
})
beforeEach(() => {
  network = `testkernels-e2e-${randomBytes(4).toString('hex')}`
})
afterEach(async () => {
  await Promise.all(started.splice(0).map((container) => container.stop()))
  await removeNetwork(engine, network)
})

/** Ends with its standard input. */
async function join(name: string): Promise<AttachedContainer> {
  const options = { image: baseImage, entrypoint: ['cat'], labels, joins: { network, name } }
  const container = await runAttached(engine, options)
  started.push(container)
  return container
}

const networks = async () =>
  (await engine.docker.listNetworks({ filters: { name: [network] } })).map(({ Labels }) => Labels)

test('those that join at once make one network, on which each knows the others by name', async () => {
  const names = ['one', 'two', 'three', 'four', 'five']
  const containers = await Promise.all(names.map(join))
  expect(await networks()).toEqual([labels])
  const addresses = await Promise.all(
    containers.map(async ({ id }) => (await inspectContainer(engine, id))?.endpoints[network]?.address),
  )
  expect(new Set(addresses).size).toBe(names.length)
  for (const [at, name] of names.entries()) {
    const found = await text(await execStream(engine, containers[0]?.id ?? '', ['getent', 'hosts', name]))
    expect(found).toContain(`${addresses[at]} `)
  }
})

test('a second one of a name is refused, and the network stays as long as anybody is on it', async () => {
  const first = await join('one')
  await expect(join('one')).rejects.toMatchObject({ code: 'NETWORK_NAME_TAKEN' })
  const second = await join('two')
  await first.stop()
  expect(await removeNetwork(engine, network)).toBe('in use')
  await second.stop()
  expect(await removeNetwork(engine, network)).toBe('removed')
  expect(await removeNetwork(engine, network)).toBe('absent')
})

test('one that joins while the last one leaves has a network', async () => {
  let last = await join('0')
  for (const at of [1, 2, 3, 4, 5, 6]) {
    const leaving = last
    const leave = async () => {
      await leaving.stop()
      return await removeNetwork(engine, network)
    }
    const [, joined] = await Promise.all([leave(), join(String(at))])
    expect((await inspectContainer(engine, joined.id))?.endpoints[network]?.address).toMatch(/\./)
    last = joined
  }
  expect(await networks()).toHaveLength(1)
})
