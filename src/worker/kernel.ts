import { createRequire } from 'node:module'
import type Docker from 'dockerode'
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

const require = createRequire(import.meta.url)

export function kernelOf(provided: ProvidedKernel): Kernel {
  return {
    ...provided,
    docker: () => {
      // Loaded when it is asked for: it takes most of a second, and most test files need none.
      const Client = require('dockerode') as typeof Docker
      return new Client({ socketPath: provided.dockerHost.slice('unix://'.length) })
    },
    testcontainers: () => testcontainersFor(provided),
  }
}
