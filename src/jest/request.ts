import type { NamedKernelOptions } from '../options/index.ts'
import type { Scope } from '../worker/index.ts'

/** What a project asks for; written into the files that Jest loads for it. */
export interface KernelRequest {
  /** Tells projects apart. */
  readonly id: string
  readonly rows: readonly NamedKernelOptions[]
  readonly scope: Scope
  /** Longest wait for a test or a hook that names none, in milliseconds. */
  readonly testTimeoutMs: number
}

/** The variable that tells workers where they hear of the VMs of a project: a list of paths, as JSON. */
export function fatesVariable({ id }: Pick<KernelRequest, 'id'>): string {
  return `TESTKERNELS_JEST_${id}`
}
