// The session of this process and the projects of a Vitest, played: VMs only say that they were started.
import { join } from 'node:path'
import type { Reporter, TestProject, TestSpecification, Vitest } from 'vitest/node'
import { type Logger, silentLogger } from '../../log/index.ts'
import { type VmLease, VmLeases } from '../../matrix/index.ts'
import { KeptVms } from '../../matrix/kept-vms.ts'
import type { StartedKernelVm } from '../../vm/index.ts'
import type { ProvidedKernels } from '../kernels.ts'
import { TestRuns } from '../test-runs.ts'

const KEY = Symbol.for('testkernels.session')
const holder = globalThis as { [KEY]?: unknown }

/** Takes the session of this process away again. */
export function unregister(): void {
  delete holder[KEY]
}

/** The session of this process, with VMs that only say that they were started. */
export function register({
  directory,
  fails,
  reported = [],
  log = silentLogger,
}: {
  /** For what workers are told. */
  directory: string
  fails?: string
  reported?: Error[]
  log?: Logger
}) {
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
  const fates = { follow: async ({ name }: VmLease) => ({ path: join(directory, `${name}.json`) }) }
  const kept = new KeptVms({ log, isAttended: true })
  holder[KEY] = {
    vms,
    fates,
    reports: { takeUnclaimed: () => reported.splice(0) },
    kept,
    open: new Set(),
    log: silentLogger,
  }
  return { running, started, kept }
}

type FakeProject = TestProject & { provided?: ProvidedKernels }

/** The projects of one Vitest, which each ask for entries, and what it reports. */
export function projects(
  requests: Record<string, string[]>,
  {
    shard,
    watch = false,
    ...options
  }: { shard?: (specs: unknown[]) => unknown[]; watch?: boolean; onTestsRerun?: 'reset'; keepOnFailure?: true } = {},
) {
  const reporters: Reporter[] = []
  const vitest = {
    logger: { log: () => {} },
    config: { reporters, watch, ...(shard && { shard: {}, sequence: { sequencer: sequencerOf(shard) } }) },
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
