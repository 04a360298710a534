import type { SolveStatus } from '../buildkit/index.ts'
import type { Builder, Host } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelReference, RootfsReference } from '../options/index.ts'
import type { CachePlan } from './cache.ts'
import type { KernelFacts } from './preflight/index.ts'

/** What an image is to be made of, and with. */
export interface VmImageRequest {
  readonly host: Host
  readonly builder: Builder
  readonly kernel: KernelReference
  readonly rootfs: RootfsReference
  /** The guest's command in place of dockerd. */
  readonly init: readonly string[] | undefined
  readonly mirror: string | undefined
  readonly cache: CachePlan
  /** Where sources of the kernel are taken from in place of kernel.org. */
  readonly kernelMirror: string | undefined
  /** Directory of docker's config.json, for registries that ask who we are. */
  readonly dockerConfigDirectory: string
  /** For what is remembered between runs. */
  readonly cacheDirectory: string
  /** Takes what is known of the kernel before its rootfs is made. What it throws ends the work. */
  readonly onKernel: (facts: KernelFacts) => void
  /** Takes the steps of the build as BuildKit reports them. */
  readonly onStatus: (status: SolveStatus) => void
  readonly log: Logger
  readonly signal: AbortSignal
}
