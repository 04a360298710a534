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
export type VmSource = SharedVmSource | OwnVmSource

/** The VM is there for all workers. */
export interface SharedVmSource {
  readonly kind: 'shared'
  readonly name: string
  /** The file that says what becomes of it. */
  readonly fate: string
}

/** There is one for whoever asks for it. */
export interface OwnVmSource {
  readonly kind: 'own'
  readonly name: string
  /** The socket on which to ask. */
  readonly socket: string
  /** Which of those that can be had there. */
  readonly index: number
}
