import type { Isolation, NamedKernelOptions } from '../options/index.ts'
import type { Scope } from '../worker/index.ts'

/** What a project asks for; written into the files that Jest loads for it. */
export interface KernelRequest {
  /** Tells projects apart. */
  readonly id: string
  readonly rows: readonly NamedKernelOptions[]
  readonly scope: Scope
  readonly isolation: Isolation
  /** Longest wait for a test or a hook that names none, in milliseconds. */
  readonly testTimeoutMs: number
}

/** The variable that tells workers where they get the VMs of a project, or hear of them: a list of `VmSource`, as JSON. */
export function sourcesVariable({ id }: Pick<KernelRequest, 'id'>): string {
  return `TESTKERNELS_JEST_${id}`
}
