import type { TestProject } from 'vitest/node'
import { toReport } from '../errors/index.ts'
import { describeVm, running, type VmUse } from '../matrix/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { isListing, unstarted } from './listing.ts'
import { entriesOf, isInOtherShards, projectsToRun, requestOf } from './selected.ts'

/** Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const scope = requestOf(project)?.scope ?? 'suite'
  if (isListing()) {
    project.provide('testkernels', { scope, kernels: entriesOf(project).map(unstarted), fates: [] })
    return async () => {}
  }
  if (await isInOtherShards(project)) return async () => {}
  const here = running((line) => project.vitest.logger.log(line))
  const uses: VmUse[] = []
  const use = (entry: KernelEntry) => {
    const one = here.vms.use(entry)
    uses.push(one)
    return one
  }
  const release = async () => void (await Promise.all(uses.map((one) => one.release())))
  try {
    const own = entriesOf(project).map(use)
    // The first setup of a run also asks for what the other projects need, so that all boots run side by side. Its hold on
    // them ends with its teardown, when each of the others has its own.
    if (!here.allRequested) {
      here.allRequested = true
      for (const entry of await entriesOfOthers(project)) use(entry)
    }
    const started = await Promise.all(own.map((one) => one.started))
    project.provide('testkernels', {
      scope,
      kernels: started.map(describeVm),
      fates: await Promise.all(own.map((one) => here.fates.follow(one))),
    })
    return release
  } catch (thrown) {
    // Vitest tears down no setup that failed, and ends the run: nothing may be left for later.
    await release()
    throw toReport(thrown)
  }
}

async function entriesOfOthers(project: TestProject): Promise<KernelEntry[]> {
  const projects = await projectsToRun(project.vitest)
  return [...projects].filter((other) => other !== project).flatMap((other) => entriesOf(other))
}
