import type { KernelOptions } from '../options/index.ts'
import type { WorkerEnvironment } from '../vm/index.ts'

/** An entry of the matrix as it travels through Vitest's configuration; plain data. */
export type MatrixRow = KernelOptions & { readonly name: string }

/** What a project asks for; put into its configuration by `kernelProjects` and `kernelSuite`. */
export interface KernelRequest {
  readonly rows: readonly MatrixRow[]
  /** `project`: the one VM is the project's, and its environment is set in each worker. `suite`: tests choose a VM. */
  readonly scope: 'project' | 'suite'
}

/** One running VM, as workers are told of it. */
export interface ProvidedKernel {
  readonly name: string
  readonly kernel: string
  readonly cgroup: 1 | 2
  readonly dockerHost: string
  readonly address: string
  readonly environment: WorkerEnvironment
}

/** What workers get. */
export interface ProvidedKernels {
  readonly scope: KernelRequest['scope']
  readonly kernels: readonly ProvidedKernel[]
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Set by the configuration: which VMs this project needs. */
    testkernelsRequest: KernelRequest
    /** Set by the global setup: the VMs that run. */
    testkernels: ProvidedKernels
  }
}
