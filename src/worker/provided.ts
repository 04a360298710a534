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

/** Where a worker hears of the VM of an entry; plain data. */
export type VmSource = ProjectVmSource | LeaseServerSource

/** All workers of the project have the same. */
export interface ProjectVmSource {
  readonly kind: 'project'
  readonly name: string
  /** The file that says what becomes of it. */
  readonly fate: string
}

/** There is one for each worker, or for each of its test files, which asks for it. */
export interface LeaseServerSource {
  readonly kind: 'server'
  readonly name: string
  /** The socket on which to ask. */
  readonly socket: string
  /** Which of the entries there. */
  readonly index: number
}
