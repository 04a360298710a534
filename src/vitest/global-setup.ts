import type { TestProject } from 'vitest/node'
import { TestkernelsError } from '../errors/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import type { ProvidedKernel } from './provided.ts'
import { type Running, running } from './running.ts'
import { entriesOf, projectsToRun, requestOf } from './selected.ts'

/** Vitest's global setup of each of our projects: VMs up before its first test, and down after the last project that uses them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { vitest } = project
  const here = running((line) => vitest.logger.log(line))
  const entries = entriesOf(project)
  const acquired = entries.map((entry) => here.vms.acquire(entry))
  const releaseOthers = await requestAll(project, here)
  const release = async () => {
    await Promise.all(entries.map((entry) => here.vms.release(entry)))
  }
  try {
    const started = await Promise.all(acquired)
    project.provide('testkernels', {
      scope: requestOf(project)?.scope ?? 'suite',
      kernels: started.map(describe),
    })
    return async () => {
      await Promise.all([release(), releaseOthers()])
    }
  } catch (thrown) {
    // Vitest tears down no setup that failed, and ends the run: nothing may be left for later.
    await Promise.all([release(), releaseOthers()])
    throw withoutStack(thrown)
  }
}

/**
 * The first setup of a run also asks for what the other projects need, so that all boots run side by side; its hold on them
 * ends with its teardown, when each of the others has its own.
 */
async function requestAll(project: TestProject, here: Running): Promise<() => Promise<void>> {
  if (here.allRequested) return async () => {}
  here.allRequested = true
  const others: KernelEntry[] = []
  for (const other of await projectsToRun(project.vitest)) {
    if (other !== project) others.push(...entriesOf(other))
  }
  for (const entry of others) here.vms.acquire(entry).catch(() => {})
  return async () => {
    here.allRequested = false
    await Promise.all(others.map((entry) => here.vms.release(entry)))
  }
}

function describe(vm: StartedKernelVm): ProvidedKernel {
  const { name, dockerHost, address, environment } = vm
  return { name, kernel: vm.entry.kernel, cgroup: vm.entry.cgroup, dockerHost, address, environment }
}

/** The message of an error of ours says all; where in our code it was made helps no user. */
function withoutStack(thrown: unknown): unknown {
  if (thrown instanceof TestkernelsError) thrown.stack = `${thrown.name} [${thrown.code}]: ${thrown.message}`
  return thrown
}
