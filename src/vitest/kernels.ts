import Docker from 'dockerode'
import { inject } from 'vitest'
import type { ProvidedKernel } from './provided.ts'
import { type Testcontainers, testcontainersFor } from './testcontainers.ts'

/** A running VM, in a test. */
export interface Kernel extends ProvidedKernel {
  /** A new dockerode client of this VM's dockerd. */
  docker(): Docker
  /**
   * The testcontainers package, bound to this VM: its own copy, because the package keeps one client for each process.
   * @throws TestcontainersUnavailableError under Vitest's vm pools, or when the package is not installed
   */
  testcontainers(): Promise<Testcontainers>
}

/** The VMs of this project, in the order of the matrix. Works at the top level of a test file, for `describe.each`. */
export function kernels(): Kernel[] {
  return inject('testkernels').kernels.map((provided) => ({
    ...provided,
    docker: () => new Docker({ socketPath: provided.dockerHost.slice('unix://'.length) }),
    testcontainers: () => testcontainersFor(provided),
  }))
}
