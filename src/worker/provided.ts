import type { WorkerEnvironment } from '../vm/index.ts'

/** One running VM, as workers are told of it; plain data. */
export interface ProvidedKernel {
  readonly name: string
  readonly kernel: string
  readonly cgroup: 1 | 2
  readonly dockerHost: string
  readonly address: string
  readonly environment: WorkerEnvironment
}

/** `project`: the one VM is the project's, and its environment is set in each worker. `suite`: tests choose a VM. */
export type Scope = 'project' | 'suite'
