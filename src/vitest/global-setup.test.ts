import { afterEach, expect, test } from 'vitest'
import type { Reporter, TestProject, TestSpecification, Vitest } from 'vitest/node'
import { type VmLease, VmLeases } from '../matrix/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import setup, { unstarted } from './global-setup.ts'
import type { ProvidedKernels } from './kernels.ts'
import { TestRuns } from './test-runs.ts'

const KEY = Symbol.for('testkernels.session')
const holder = globalThis as { [KEY]?: unknown }

afterEach(() => {
  delete holder[KEY]
})

/** The session of this process, with VMs that only say that they were started. */
function register({ fails, reported = [] }: { fails?: string; reported?: Error[] } = {}) {
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
      forwards: {},
      published: { kind: 'direct', address: '10.1.2.3' },
      gone: new AbortController().signal,
      stop: async () => void running.delete(entry.name),
    } as unknown as StartedKernelVm
  })
  const fates = { follow: async ({ name }: VmLease) => ({ path: `/${name}.json` }) }
  holder[KEY] = { vms, fates, reports: { takeUnclaimed: () => reported.splice(0) } }
  return { running, started }
}

type FakeProject = TestProject & { provided?: ProvidedKernels }

/** The projects of one Vitest, which each ask for entries, and what it reports. */
function projects(
  requests: Record<string, string[]>,
  { shard, ...options }: { shard?: (specs: unknown[]) => unknown[]; onTestsRerun?: 'reset' } = {},
) {
  const reporters: Reporter[] = []
  const vitest = {
    logger: { log: () => {} },
    config: { reporters, ...(shard && { shard: {}, sequence: { sequencer: sequencerOf(shard) } }) },
  } as unknown as Vitest
  TestRuns.report(vitest)
  TestRuns.report(vitest)
  const all = new Map<string, FakeProject>()
  for (const [name, entries] of Object.entries(requests)) {
    const rows = entries.map((entry) => ({ name: entry, kernel: 'debian:bookworm' }))
    const project = {
      name,
      vitest,
      config: { provide: { testkernelsRequest: { rows, scope: 'project', ...options } } },
      provide: (_: string, value: ProvidedKernels) => {
        project.provided = value
      },
    } as unknown as FakeProject
    all.set(name, project)
  }
  const of = (name: string) => all.get(name) as FakeProject
  /** Vitest is about to run test files of these projects. */
  const runs = async (names = Object.keys(requests), pool = 'forks') => {
    const specifications = names.map((name) => ({ project: of(name), pool })) as unknown as TestSpecification[]
    for (const reporter of reporters) await reporter.onTestRunStart?.(specifications)
  }
  const ends = () => Promise.all(reporters.map((reporter) => reporter.onTestRunEnd?.([], [], 'passed')))
  return { project: of, runs, ends }
}

function sequencerOf(shard: (specs: unknown[]) => unknown[]) {
  return class {
    shard = async (specs: unknown[]) => shard(specs)
  }
}

test('a project whose tests are all in another shard starts nothing', async () => {
  const { started } = register()
  const shard = (specs: unknown[]) => specs.filter((spec) => isOf(spec, 'two'))
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { shard })
  await runs()
  await (await setup(project('a')))()
  expect(started).toEqual([])
  const tearDown = await setup(project('b'))
  expect(started).toEqual(['two'])
  await tearDown()
})

test('where chance decides which project the shard takes, each is ready', async () => {
  const { started } = register()
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { shard: ([first]) => [first] })
  await runs()
  const tearDown = [await setup(project('a')), await setup(project('b'))]
  expect(started).toEqual(['one', 'two'])
  for (const one of tearDown) await one()
})

function isOf(spec: unknown, entry: string): boolean {
  return JSON.stringify((spec as { project: TestProject }).project.config).includes(`"name":"${entry}"`)
}

test('the first setup starts the VMs of all projects; each VM ends with its last', async () => {
  const { running, started } = register()
  const { project, runs } = projects({ a: ['one'], b: ['two'], both: ['one', 'two'] })
  await runs()
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
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs(['a'])
  const tearDown = await setup(project('a'))
  expect(started).toEqual(['one'])
  await tearDown()
})

test('a setup that fails ends what it started, for others as well', async () => {
  const { running } = register({ fails: 'one' })
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs()
  await expect(setup(project('a'))).rejects.toThrow('one did not boot')
  expect([...running]).toEqual([])
})

test('the failure of another project is told by its own setup', async () => {
  const { running } = register({ fails: 'two' })
  const { project, runs } = projects({ a: ['one'], b: ['two'] })
  await runs()
  const tearDownA = await setup(project('a'))
  await expect(setup(project('b'))).rejects.toThrow('two did not boot')
  expect([...running]).toEqual(['one'])
  await tearDownA()
  expect([...running]).toEqual([])
})

test('where tests are only listed nothing starts, and VMs have names', async () => {
  const { started } = register()
  const { project } = projects({ a: ['one'] })
  const tearDown = await setup(project('a'))
  expect(started).toEqual([])
  expect(project('a').provided).toMatchObject({ listed: [{ name: 'one' }], vms: [] })
  await tearDown()
})

test('an editor lists tests, runs them, and lists them again: the VM starts with the first run, and stays', async () => {
  const { running, started } = register()
  const { project, runs, ends } = projects({ a: ['one'] })
  const tearDown = await setup(project('a'))
  for (const _ of ['first', 'second']) {
    await runs()
    expect(project('a').provided).toMatchObject({ listed: [], vms: [{ name: 'one' }] })
    await ends()
    expect(project('a').provided).toMatchObject({ listed: [{ name: 'one' }], vms: [] })
  }
  expect(started).toEqual(['one'])
  await tearDown()
  expect([...running]).toEqual([])
})

test('a run of other projects leaves the VM alone; one of its own starts it anew where tests are to find it so', async () => {
  const { running, started } = register()
  const { project, runs } = projects({ a: ['one'], b: ['two'] }, { onTestsRerun: 'reset' })
  await runs(['a'])
  const tearDown = await setup(project('a'))
  await runs(['b'])
  expect(started).toEqual(['one'])
  await runs(['a'])
  expect(started).toEqual(['one', 'one'])
  await tearDown()
  expect([...running]).toEqual([])
})

test('a check of types starts nothing', async () => {
  const { started } = register()
  const { project, runs } = projects({ a: ['one'] })
  await runs(['a'], 'typescript')
  await (await setup(project('a')))()
  expect(started).toEqual([])
})

test('a project that has lost our plugin says so', async () => {
  const project = { name: 'a', vitest: {} } as unknown as TestProject
  await expect(setup(project)).rejects.toThrow('project a has not all that kernelProjects() or kernelSuite() returned')
})

test('a VM that is only named sends no client to the engine of this machine', () => {
  const kernel = unstarted(parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 }))
  expect(kernel).toMatchObject({ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 })
  expect(kernel.environment['DOCKER_HOST']).toBe(kernel.dockerHost)
  expect(kernel.dockerHost).toContain('/nonexistent/')
})

test('what a kernel reports after the last test file fails the run, and VMs end all the same', async () => {
  const { running } = register({ reported: [new Error('the kernel reported WARNING in f')] })
  const { project, runs } = projects({ one: ['one'] })
  await runs()
  const teardown = await setup(project('one'))
  const status = process.exitCode
  try {
    await expect(teardown()).rejects.toThrow('the kernel reported WARNING in f')
    expect(process.exitCode).toBe(1)
  } finally {
    process.exitCode = status
  }
  expect([...running]).toEqual([])
})
