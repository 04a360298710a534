import { TestkernelsError } from '../errors/index.ts'
import type { Isolation, KeepOnFailure, NamedKernelOptions, OnTestsRerun, RetryOn } from '../options/index.ts'
import {
  type Kernel,
  kernelOf,
  type LeasedVm,
  type ProvidedKernel,
  type Scope,
  type ToldOfTest,
  type VmRecord,
  type VmSource,
} from '../worker/index.ts'

/** There are no VMs where they were asked for. */
export class NoKernelsError extends TestkernelsError {
  readonly code = 'NO_KERNELS'
}

const KEY = Symbol.for('testkernels.vitest.vms')

/** The VMs of one test file. */
export interface FileVms {
  readonly leased: readonly LeasedVm[]
  readonly kernels: readonly ProvidedKernel[]
}

/** On `globalThis`, because Vitest evaluates modules more than once. */
const holder = globalThis as { [KEY]?: FileVms }

/** Leaves the VMs for `kernels()` and for the test runner; the setup file does so. */
export function setVms(vms: FileVms): void {
  releaseVms()
  holder[KEY] = vms
}

/** The VMs that this worker leases. */
export function leasedVms(): readonly LeasedVm[] {
  return holder[KEY]?.leased ?? []
}

/** Gives up the VMs of the test file that was run. */
export function releaseVms(): void {
  for (const vm of leasedVms()) vm.release()
  delete holder[KEY]
}

/**
 * The VMs of this project, in the order of the matrix. Works at the top level of a test file, for `describe.each`. Asks Vitest for
 * nothing: configurations import this module as well, and there Vitest 3 forbids the import of itself.
 * @throws NoKernelsError outside of tests
 */
export function kernels(): Kernel[] {
  const vms = holder[KEY]
  if (vms !== undefined) return vms.kernels.map(kernelOf)
  throw new NoKernelsError({
    what: 'kernels() was called where there are none',
    remedy: 'call it in test files of a project that kernelProjects() or kernelSuite() made',
  })
}

/** What a project asks for; put into its configuration by `kernelProjects` and `kernelSuite`. */
export interface KernelRequest {
  readonly rows: readonly NamedKernelOptions[]
  /** Of the first of them in the matrix. */
  readonly place: number
  readonly scope: Scope
  readonly isolation: Isolation
  readonly onTestsRerun: OnTestsRerun
  /** The user's, where they are called with the environment of the project's one VM. */
  readonly globalSetup: readonly string[]
  /** The directory of a report of the run, from the root of the configuration. */
  readonly kernelReport: string | undefined
  readonly retryOn: RetryOn
  readonly keepOnFailure: KeepOnFailure
}

/** What workers get. */
export interface ProvidedKernels {
  readonly scope: Scope
  /** What tests are named after when they are only listed, and no VM runs; else none. */
  readonly listed: readonly ProvidedKernel[]
  /** Where a worker leases its VMs, or hears of them; none when tests are only listed. */
  readonly vms: readonly VmSource[]
  /** Whether there is to be a report of the run. */
  readonly report: boolean
}

/** What the runner leaves for a report of the run in the meta data of tasks: of a test what it did, of a test file its VMs. */
export interface ReportMeta {
  testkernelsTest?: ToldOfTest & {
    /** How many of its tries Vitest counts and did not begin. */
    readonly untried: number
  }
  testkernelsVms?: readonly VmRecord[]
}

declare module 'vitest' {
  interface ProvidedContext {
    /** Set by the configuration: which VMs this project needs. */
    testkernelsRequest: KernelRequest
    /** Set by the global setup: the VMs that run. */
    testkernels: ProvidedKernels
  }
}
