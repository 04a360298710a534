import { type KernelEntry, kernelText } from '../options/index.ts'
import { workerEnvironment } from '../vm/index.ts'
import type { ProvidedKernel } from '../worker/index.ts'

/** `vitest list` loads test files and runs no test; it calls global setups all the same, and tells them nothing about it. */
export function isListing(argv: readonly string[] = process.argv): boolean {
  return argv[2] === 'list'
}

/** A VM that is named and not started: what test files name their tests after. Docker clients find nothing there. */
export function unstarted(entry: KernelEntry): ProvidedKernel {
  const place = { dockerHost: 'unix:///nonexistent/testkernels-list.sock', address: '0.0.0.0' }
  return {
    name: entry.name,
    kernel: kernelText(entry.kernel),
    cgroup: entry.cgroup,
    ...place,
    environment: workerEnvironment(place),
  }
}
