import type { TestProject } from 'vitest/node'
import { toReport } from '../errors/index.ts'
import { describeVm, type Hold, holdVms, running, type VmUse, type Wanted } from '../matrix/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { isListing, unstarted } from './listing.ts'
import { entriesOf, isInOtherShards, projectsToRun, requestOf } from './selected.ts'

/** Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (isListing()) {
    project.provide('testkernels', { scope: scopeOf(project), kernels: entriesOf(project).map(unstarted), vms: [] })
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

/** The VMs of one project, from its setup to its teardown. */
class ProjectVms {
  readonly #project: TestProject
  readonly #here
  /** The projects that VMs were asked for ahead of their own setups. */
  readonly #askedFor: string[] = []
  #hold: Hold | undefined

  constructor(project: TestProject) {
    this.#project = project
    this.#here = running((line) => project.vitest.logger.log(line))
  }

  async start(): Promise<void> {
    const { uses } = await this.#take()
    this.#provide(await Promise.all(uses.map((use) => use.started)))
  }

  /** Starts anew what shall be as at the start, and what has died. What does not start then is told by the workers. */
  async beforeRerun(specifications: readonly { readonly project: TestProject }[]): Promise<void> {
    if (!specifications.some(({ project }) => project === this.#project)) return
    if (requestOf(this.#project)?.onTestsRerun !== 'reset' && !(await this.#hasDied())) return
    await this.#hold?.release()
    const { uses } = await this.#take()
    this.#provide(await startedOf(uses))
  }

  async release(): Promise<void> {
    await Promise.all([this.#hold?.release(), ...this.#askedFor.map((name) => this.#releaseAhead(name))])
  }

  async #take(): Promise<Hold> {
    const hold = await holdVms(this.#here, wantedBy(this.#project))
    this.#hold = hold
    await this.#releaseAhead(this.#project.name)
    await this.#askAhead()
    return hold
  }

  #provide(started: readonly StartedKernelVm[]): void {
    const { isolation } = wantedBy(this.#project)
    this.#project.provide('testkernels', {
      scope: scopeOf(this.#project),
      kernels: isolation === 'project' ? started.map(describeVm) : [],
      vms: this.#hold?.sources ?? [],
    })
  }

  /** The first setup of a run also asks for what the other projects need, so that all boots run side by side. */
  async #askAhead(): Promise<void> {
    if (this.#here.ahead !== undefined) return
    const ahead = new Map<string, readonly VmUse[]>()
    this.#here.ahead = ahead
    for (const other of await projectsToRun(this.#project.vitest)) {
      if (other === this.#project) continue
      const { entries, owner } = wantedBy(other)
      ahead.set(
        other.name,
        entries.map((entry) => this.#here.vms.use(entry, owner)),
      )
      this.#askedFor.push(other.name)
    }
  }

  /** What was asked for a project is given up when it has its own hold; at the latest with the project that asked. */
  async #releaseAhead(name: string): Promise<void> {
    const uses = this.#here.ahead?.get(name) ?? []
    await Promise.all(uses.map((use) => use.release()))
  }

  async #hasDied(): Promise<boolean> {
    const uses = this.#hold?.uses ?? []
    const started = await startedOf(uses)
    return started.length < uses.length || started.some(({ gone }) => gone.aborted)
  }
}

async function startedOf(uses: readonly VmUse[]): Promise<readonly StartedKernelVm[]> {
  const started = await Promise.allSettled(uses.map((use) => use.started))
  return started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
}

function scopeOf(project: TestProject) {
  return requestOf(project)?.scope ?? 'suite'
}

function wantedBy(project: TestProject): Wanted {
  const { isolation = 'project', onTestsRerun = 'keep' } = requestOf(project) ?? {}
  const isShared = isolation === 'project' && onTestsRerun === 'keep'
  return { entries: entriesOf(project), isolation, owner: isShared ? undefined : project.name }
}
