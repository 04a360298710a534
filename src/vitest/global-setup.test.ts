import { afterEach, expect, test } from 'vitest'
import type { TestProject } from 'vitest/node'
import { type VmLease, VmLeases } from '../matrix/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import setup, { isListing, unstarted } from './global-setup.ts'
import type { ProvidedKernels } from './provided.ts'

const KEY = Symbol.for('testkernels.session')
const holder = globalThis as { [KEY]?: unknown }

afterEach(() => {
  delete holder[KEY]
})

/** The session of this process, with VMs that only say that they were started. */
function register({ fails }: { fails?: string } = {}) {
  const running = new Set<string>()
  const started: string[] = []
  const vms = new VmLeases(async (entry) => {
    started.push(entry.name)
    if (entry.name === fails) throw new Error(`${entry.name} did not boot`)
    running.add(entry.name)
    return {
      name: entry.name,
      entry,
      dockerHost: `unix:///run/${entry.name}/docker.sock`,
      gone: new AbortController().signal,
      stop: async () => void running.delete(entry.name),
    } as unknown as StartedKernelVm
  })
  holder[KEY] = { vms, fates: { follow: async ({ name }: VmLease) => ({ path: `/${name}.json` }) } }
  return { running, started }
}

/** Projects of one run that each ask for entries; those of `filtered` have no tests to run. */
function projects(
  requests: Record<string, string[]>,
  { filtered = [], shard }: { filtered?: string[]; shard?: (specs: unknown[]) => unknown[] } = {},
) {
  const all = new Map<string, TestProject & { provided?: ProvidedKernels }>()
  const vitest = {
    logger: { log: () => {} },
    config: shard === undefined ? {} : { shard: {}, sequence: { sequencer: sequencerOf(shard) } },
    globTestSpecifications: async () =>
      [...all].filter(([name]) => !filtered.includes(name)).map(([, project]) => ({ project })),
  }
  for (const [name, entries] of Object.entries(requests)) {
    const rows = entries.map((entry) => ({ name: entry, kernel: 'debian:bookworm' }))
    const project = {
      name,
      vitest,
      onTestsRerun: () => {},
      config: { provide: { testkernelsRequest: { rows, scope: 'project' } } },
      provide: (_: string, value: ProvidedKernels) => {
        project.provided = value
      },
    } as unknown as TestProject & { provided?: ProvidedKernels }
    all.set(name, project)
  }
  return (name: string) => all.get(name) as TestProject & { provided?: ProvidedKernels }
}

function sequencerOf(shard: (specs: unknown[]) => unknown[]) {
  return class {
    shard = async (specs: unknown[]) => shard(specs)
  }
}

test('a project whose tests are all in another shard starts nothing', async () => {
  const { started } = register()
  const project = projects({ a: ['one'], b: ['two'] }, { shard: (specs) => specs.filter((spec) => isOf(spec, 'two')) })
  await (await setup(project('a')))()
  expect(started).toEqual([])
  const tearDown = await setup(project('b'))
  expect(started).toEqual(['two'])
  await tearDown()
})

test('where chance decides which project the shard takes, each is ready', async () => {
  const { started } = register()
  const project = projects({ a: ['one'], b: ['two'] }, { shard: ([first]) => [first] })
  const tearDown = [await setup(project('a')), await setup(project('b'))]
  expect(started).toEqual(['one', 'two'])
  for (const one of tearDown) await one()
})

function isOf(spec: unknown, entry: string): boolean {
  return JSON.stringify((spec as { project: TestProject }).project.config).includes(`"name":"${entry}"`)
}

test('the first setup starts the VMs of all projects; each VM ends with its last', async () => {
  const { running, started } = register()
  const project = projects({ a: ['one'], b: ['two'], both: ['one', 'two'] })
  const tearDownA = await setup(project('a'))
  expect(started).toEqual(['one', 'two'])
  const tearDownB = await setup(project('b'))
  const tearDownBoth = await setup(project('both'))
  expect(started).toEqual(['one', 'two'])
  expect(project('both').provided?.vms).toEqual([
    { kind: 'project', name: 'one', fate: '/one.json' },
    { kind: 'project', name: 'two', fate: '/two.json' },
  ])

  await tearDownBoth()
  expect([...running]).toEqual(['one', 'two'])
  await tearDownB()
  expect([...running]).toEqual(['one'])
  await tearDownA()
  expect([...running]).toEqual([])
})

test('a project without tests to run starts nothing', async () => {
  const { started } = register()
  const project = projects({ a: ['one'], b: ['two'] }, { filtered: ['b'] })
  const tearDown = await setup(project('a'))
  expect(started).toEqual(['one'])
  await tearDown()
})

test('a setup that fails ends what it started, for others as well', async () => {
  const { running } = register({ fails: 'one' })
  const project = projects({ a: ['one'], b: ['two'] })
  await expect(setup(project('a'))).rejects.toThrow('one did not boot')
  expect([...running]).toEqual([])
})

test('the failure of another project is told by its own setup', async () => {
  const { running } = register({ fails: 'two' })
  const project = projects({ a: ['one'], b: ['two'] })
  const tearDownA = await setup(project('a'))
  await expect(setup(project('b'))).rejects.toThrow('two did not boot')
  expect([...running]).toEqual(['one'])
  await tearDownA()
  expect([...running]).toEqual([])
})

test('tells `vitest list` from a run, also of tests that are called so', () => {
  expect(isListing(['node', 'vitest.mjs', 'list', '--json'])).toBe(true)
  expect(isListing(['node', 'vitest.mjs', 'run', 'list'])).toBe(false)
  expect(isListing(['node', 'vitest.mjs'])).toBe(false)
})

test('a VM that is only named sends no client to the engine of this machine', () => {
  const kernel = unstarted(parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 }))
  expect(kernel).toMatchObject({ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 })
  expect(kernel.environment['DOCKER_HOST']).toBe(kernel.dockerHost)
  expect(kernel.dockerHost).toContain('/nonexistent/')
})
