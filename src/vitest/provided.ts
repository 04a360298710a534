import type { Isolation, NamedKernelOptions, OnTestsRerun } from '../options/index.ts'
import type { ProvidedKernel, Scope, VmSource } from '../worker/index.ts'

/** What a project asks for; put into its configuration by `kernelProjects` and `kernelSuite`. */
export interface KernelRequest {
  readonly rows: readonly NamedKernelOptions[]
  readonly scope: Scope
  readonly isolation: Isolation
  readonly onTestsRerun: OnTestsRerun
  /** The user's, where they are called with the environment of the project's one VM. */
  readonly globalSetup: readonly string[]
}

/** What workers get. */
export interface ProvidedKernels {
  readonly scope: Scope
  /** What tests are named after when they are only listed, and no VM runs; else none. */
  readonly listed: readonly ProvidedKernel[]
  /** Where a worker leases its VMs, or hears of them; none when tests are only listed. */
  readonly vms: readonly VmSource[]
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Set by the configuration: which VMs this project needs. */
    testkernelsRequest: KernelRequest
    /** Set by the global setup: the VMs that run. */
    testkernels: ProvidedKernels
  }
}
