import type { TestProject } from 'vitest/node'
import { type KernelEntry, kernelText } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { toReport } from './presentable.ts'
import type { ProvidedKernel } from './provided.ts'
import { running } from './running.ts'
import { entriesOf, projectsToRun, requestOf } from './selected.ts'

/** Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const here = running((line) => project.vitest.logger.log(line))
  const held: KernelEntry[] = []
  const acquire = (entry: KernelEntry) => {
    held.push(entry)
    return here.vms.acquire(entry)
  }
  const release = async () => void (await Promise.all(held.splice(0).map((entry) => here.vms.release(entry))))
  try {
    const own = entriesOf(project).map(acquire)
    // The first setup of a run also asks for what the other projects need, so that all boots run side by side. Its hold on
    // them ends with its teardown, when each of the others has its own.
    if (!here.allRequested) {
      here.allRequested = true
      for (const entry of await entriesOfOthers(project)) acquire(entry).catch(() => {})
    }
    const started = await Promise.all(own)
    project.provide('testkernels', {
      scope: requestOf(project)?.scope ?? 'suite',
      kernels: started.map(describe),
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

function describe(vm: StartedKernelVm): ProvidedKernel {
  const { name, dockerHost, address, environment } = vm
  return { name, kernel: kernelText(vm.entry.kernel), cgroup: vm.entry.cgroup, dockerHost, address, environment }
}
