import type { NamedKernelOptions } from '../options/index.ts'
import type { ProvidedKernel, Scope } from '../worker/index.ts'

/** What a project asks for; put into its configuration by `kernelProjects` and `kernelSuite`. */
export interface KernelRequest {
  readonly rows: readonly NamedKernelOptions[]
  readonly scope: Scope
}

/** What workers get. */
export interface ProvidedKernels {
  readonly scope: Scope
  readonly kernels: readonly ProvidedKernel[]
  /** For each kernel the file that says what becomes of it. */
  readonly fates: readonly string[]
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Set by the configuration: which VMs this project needs. */
    testkernelsRequest: KernelRequest
    /** Set by the global setup: the VMs that run. */
    testkernels: ProvidedKernels
  }
}
