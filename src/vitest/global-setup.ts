import { availableParallelism } from 'node:os'
import type { TestProject, TestSpecification, Vitest } from 'vitest/node'
import { toReport } from '../errors/index.ts'
import {
  describeVm,
  leaseForProject,
  type ProjectLease,
  type ProjectWants,
  testSession,
  type VmLease,
} from '../matrix/index.ts'
import { type KernelEntry, parseMatrix } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import type { ProvidedKernel } from '../worker/index.ts'
import type { KernelRequest } from './provided.ts'

/** Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (isListing()) {
    project.provide('testkernels', { scope: scopeOf(project), listed: entriesOf(project).map(unstarted), vms: [] })
    return async () => {}
  }
  if (await isInOtherShards(project)) return async () => {}
  const vms = new ProjectVms(project)
  try {
    await vms.start()
    project.onTestsRerun((specifications) => vms.beforeRerun(specifications))
    return () => vms.release()
  } catch (thrown) {
    // Vitest tears down no setup that failed, and ends the run: nothing may be left for later.
    await vms.release()
    throw toReport(thrown)
  }
}

const AHEAD = Symbol.for('testkernels.vitest.ahead')

/** What the first project of a run leases for the others, by their names. With Vitest itself, which evaluates this module for each project. */
type LeasedAhead = { [AHEAD]?: Map<string, readonly VmLease[]> }

/** The VMs of one project, from its setup to its teardown. */
class ProjectVms {
  readonly #project: TestProject
  readonly #session
  /** The projects that VMs were leased for ahead of their own setups. */
  readonly #ahead: string[] = []
  #lease: ProjectLease | undefined

  constructor(project: TestProject) {
    this.#project = project
    this.#session = testSession((line) => project.vitest.logger.log(line))
  }

  async start(): Promise<void> {
    const { vms } = await this.#leaseVms()
    await Promise.all(vms.map((vm) => vm.started))
  }

  /** Starts anew what is to be as at the start, and what has died. What does not start then is told by the workers. */
  async beforeRerun(specifications: readonly { readonly project: TestProject }[]): Promise<void> {
    if (!specifications.some(({ project }) => project === this.#project)) return
    if (requestOf(this.#project)?.onTestsRerun !== 'reset' && !(await this.#hasDied())) return
    await this.#lease?.release()
    const { vms } = await this.#leaseVms()
    await startedOf(vms)
  }

  async release(): Promise<void> {
    await Promise.all([this.#lease?.release(), ...this.#ahead.map((name) => this.#releaseAhead(name))])
  }

  async #leaseVms(): Promise<ProjectLease> {
    const lease = await leaseForProject(this.#session, wantedBy(this.#project))
    this.#lease = lease
    this.#project.provide('testkernels', { scope: scopeOf(this.#project), listed: [], vms: lease.sources })
    await this.#releaseAhead(this.#project.name)
    await this.#leaseAhead()
    return lease
  }

  /** The first setup of a run also leases what the other projects need, so that all boots run side by side. */
  async #leaseAhead(): Promise<void> {
    const { vitest } = this.#project
    const holder = vitest as LeasedAhead
    if (holder[AHEAD] !== undefined) return
    const ahead = new Map<string, readonly VmLease[]>()
    holder[AHEAD] = ahead
    for (const other of await projectsToRun(vitest)) {
      if (other === this.#project) continue
      const { entries, owner } = wantedBy(other)
      ahead.set(
        other.name,
        entries.map((entry) => this.#session.vms.lease(entry, owner)),
      )
      this.#ahead.push(other.name)
    }
  }

  /** What was leased for a project is released when it has its own lease; at the latest with the project that asked. */
  async #releaseAhead(name: string): Promise<void> {
    const leases = (this.#project.vitest as LeasedAhead)[AHEAD]?.get(name) ?? []
    await Promise.all(leases.map((lease) => lease.release()))
  }

  async #hasDied(): Promise<boolean> {
    const vms = this.#lease?.vms ?? []
    const started = await startedOf(vms)
    return started.length < vms.length || started.some(({ gone }) => gone.aborted)
  }
}

async function startedOf(vms: readonly VmLease[]): Promise<readonly StartedKernelVm[]> {
  const started = await Promise.allSettled(vms.map((vm) => vm.started))
  return started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

/** What a project asks for; undefined for a project that is not ours. */
function requestOf(project: TestProject): KernelRequest | undefined {
  return project.config.provide.testkernelsRequest
}

function entriesOf(project: TestProject): readonly KernelEntry[] {
  const request = requestOf(project)
  return request === undefined ? [] : parseMatrix(request.rows)
}

function scopeOf(project: TestProject) {
  return requestOf(project)?.scope ?? 'suite'
}

function wantedBy(project: TestProject): ProjectWants {
  const { isolation = 'project', onTestsRerun = 'keep' } = requestOf(project) ?? {}
  const isForAll = isolation === 'project' && onTestsRerun === 'keep'
  const owner = isForAll ? undefined : project.name
  return { entries: entriesOf(project), isolation, owner, workers: workersOf(project) }
}

/** Vitest 3 has no number where nobody named one; then there are no more than cores. */
function workersOf({ config, vitest }: TestProject): number {
  return Number(config.maxWorkers ?? vitest.config.maxWorkers) || availableParallelism()
}

/**
 * The projects that have tests to run after `--project`, file filters and `--shard`. Vitest runs global setups one after
 * another, so the first one must know what the others will need.
 */
async function projectsToRun(vitest: Vitest): Promise<ReadonlySet<TestProject>> {
  // The filters of the command line; there in every version, and declared in none.
  const { filenamePattern } = vitest as { filenamePattern?: string[] }
  const specifications = await vitest.globTestSpecifications(filenamePattern)
  const selected = vitest.config.shard ? await inShard(vitest, specifications) : specifications
  return new Set(selected.map(({ project }) => project))
}

/** Whether nothing of this project is in the shard: Vitest divides tests only after all global setups. */
async function isInOtherShards(project: TestProject): Promise<boolean> {
  return Boolean(project.vitest.config.shard) && !(await projectsToRun(project.vitest)).has(project)
}

/**
 * Vitest orders by path alone. Where the shard ends between projects that have a file in common, the order in which their files were
 * found decides which it takes, and that is chance: both may be needed.
 */
async function inShard(vitest: Vitest, specifications: readonly TestSpecification[]): Promise<TestSpecification[]> {
  const sequencer = new vitest.config.sequence.sequencer(vitest)
  const orders = [[...specifications], [...specifications].reverse()]
  return (await Promise.all(orders.map((order) => sequencer.shard(order)))).flat()
}

/** `vitest list` loads test files and runs no test; it calls global setups all the same, and tells them nothing about it. */
export function isListing(argv: readonly string[] = process.argv): boolean {
  return argv[2] === 'list'
}

/** A VM that is named and not started: what test files name their tests after. Docker clients find nothing there. */
export function unstarted(entry: KernelEntry): ProvidedKernel {
  const published = { kind: 'direct', address: '0.0.0.0' } as const
  return describeVm({ entry, dockerHost: 'unix:///nonexistent/testkernels-list.sock', published })
}
