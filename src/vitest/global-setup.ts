import { availableParallelism } from 'node:os'
import type { TestProject } from 'vitest/node'
import { reasonOf, toReport } from '../errors/index.ts'
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
import type { KernelRequest } from './kernels.ts'
import { TestRuns } from './test-runs.ts'
import { UserSetups } from './user-setups.ts'

/**
 * Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. Where tests
 * are only listed, it names VMs and starts none, until tests are run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const runs = TestRuns.of(project)
  const vms = new ProjectVms(project, runs)
  try {
    await vms.begin()
    runs.follow({ onStart: (projects) => vms.onRunStart(projects), onEnd: () => vms.nameOnly() })
    return () => vms.end()
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
  readonly #runs: TestRuns
  readonly #setups: UserSetups
  readonly #session
  /** The projects that VMs were leased for ahead of their own setups. */
  readonly #ahead: string[] = []
  #lease: ProjectLease | undefined
  /** Whether the user's own setups have been called for the VM that is there. */
  #isSetUp = false

  constructor(project: TestProject, runs: TestRuns) {
    this.#project = project
    this.#runs = runs
    this.#setups = new UserSetups(project, requestOf(project)?.globalSetup ?? [])
    this.#session = testSession((line) => project.vitest.logger.log(line))
  }

  /** Starts the VMs where tests are about to run. @throws why one does not start */
  async begin(): Promise<void> {
    this.nameOnly()
    if (!this.#runs.projects?.has(this.#project)) return
    const { vms } = await this.#leaseVms()
    await this.#setUp(await Promise.all(vms.map((vm) => vm.started)))
  }

  /**
   * Starts what was not needed until now, what is to be as at the start, and what has died. What does not start then is told by the
   * workers.
   */
  async onRunStart(projects: ReadonlySet<TestProject>): Promise<void> {
    if (!projects.has(this.#project)) return
    if (await this.#canStay()) return this.#provide(this.#lease?.sources)
    await this.#tearDown()
    await this.#lease?.release().catch((thrown) => this.#project.vitest.logger.error(reasonOf(thrown)))
    const { vms } = await this.#leaseVms()
    await this.#setUp(await startedOf(vms))
  }

  /** One project at a time: its setups have the environment of this process. */
  async #setUp([vm]: readonly StartedKernelVm[]): Promise<void> {
    this.#isSetUp = false
    if (vm !== undefined) await this.#runs.alone(() => this.#setups.setUp(describeVm(vm)))
    this.#isSetUp = true
  }

  async #tearDown(): Promise<void> {
    await this.#runs.alone(() => this.#setups.tearDown())
  }

  /** Until the next run, tests can be listed, and no more. */
  nameOnly(): void {
    this.#provide([])
  }

  #provide(vms: ProjectLease['sources'] = []): void {
    const listed = vms.length === 0 ? entriesOf(this.#project).map(unstarted) : []
    const report = requestOf(this.#project)?.kernelReport !== undefined
    this.#project.provide('testkernels', { scope: scopeOf(this.#project), listed, vms, report })
  }

  /** @throws what a kernel reported after the last test file, and fails the run: Vitest prints it, and no more */
  async end(): Promise<void> {
    try {
      await this.#endWith((lease) => lease.end())
    } catch (thrown) {
      process.exitCode ||= 1
      throw toReport(thrown)
    }
  }

  async release(): Promise<void> {
    await this.#endWith((lease) => lease.release())
  }

  async #endWith(end: (lease: ProjectLease) => Promise<void>): Promise<void> {
    try {
      await this.#tearDown()
    } finally {
      const own = this.#lease === undefined ? undefined : end(this.#lease)
      await Promise.all([own, ...this.#ahead.map((name) => this.#releaseAhead(name))])
    }
  }

  async #leaseVms(): Promise<ProjectLease> {
    const lease = await leaseForProject(this.#session, wantedBy(this.#project))
    this.#lease = lease
    this.#provide(lease.sources)
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
    for (const other of this.#runs.projects ?? []) {
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

  /** Whether what was started for a run before serves the next one. */
  async #canStay(): Promise<boolean> {
    if (this.#lease === undefined || !this.#isSetUp || requestOf(this.#project)?.onTestsRerun === 'reset') return false
    const { vms } = this.#lease
    const started = await startedOf(vms)
    return started.length === vms.length && !started.some(({ gone }) => gone.aborted)
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
  const request = requestOf(project)
  const { isolation = 'project', onTestsRerun = 'keep', retryOn = 'same-vm' } = request ?? {}
  // In watch mode VMs stay anyway, and whoever ends that wants its end.
  const keepOnFailure = !project.vitest.config.watch && (request?.keepOnFailure ?? false)
  const isForAll = isolation === 'project' && onTestsRerun === 'keep'
  const owner = isForAll ? undefined : project.name
  return { entries: entriesOf(project), isolation, retryOn, keepOnFailure, owner, workers: workersOf(project) }
}

/** Vitest 3 has no number where nobody named one; then there are no more than cores. */
function workersOf({ config, vitest }: TestProject): number {
  return Number(config.maxWorkers ?? vitest.config.maxWorkers) || availableParallelism()
}

/** A VM that is named and not started: what test files name their tests after. Docker clients find nothing there. */
export function unstarted(entry: KernelEntry): ProvidedKernel {
  const dockerHost = 'unix:///nonexistent/testkernels-list.sock'
  return describeVm({ entry, dockerHost, address: '0.0.0.0', forwards: {} })
}
