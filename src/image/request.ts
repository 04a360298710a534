import type { SolveStatus } from '../buildkit/index.ts'
import type { Builder, Host } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import type { CacheReference, GuestInit, KernelReference, MachineOption, RootfsReference } from '../options/index.ts'
import type { DebianMirror } from './base/debian-mirror.ts'
import { CacheUnsupportedError } from './errors.ts'
import type { KernelFacts } from './preflight/kernel-facts.ts'
import type { RootfsFacts } from './preflight/rootfs.ts'

/** What is built with, whatever it is. */
export interface BuildContext {
  readonly host: Host
  readonly builder: Builder
  readonly mirror: DebianMirror | undefined
  /** Debian's archive of snapshots, for what the mirror has no more. */
  readonly debianSnapshots: string | undefined
  readonly cache: CachePlan
  /** Where sources of the kernel are taken from in place of kernel.org. */
  readonly kernelMirror: string | undefined
  /** Directory of docker's config.json, for registries that ask who we are. */
  readonly dockerConfigDirectory: string
  /** For what is remembered between runs. */
  readonly cacheDirectory: string
  /** Takes the steps of the build as BuildKit reports them. */
  readonly onStatus: (status: SolveStatus) => void
  readonly log: Logger
  readonly signal: AbortSignal
}

/** What an image is to be made of, and with. */
export interface VmImageRequest extends BuildContext {
  readonly kernel: KernelReference
  readonly rootfs: RootfsReference
  /** What `docker run IMAGE` is to start, as far as the kernel has a choice. */
  readonly machine: MachineOption
  readonly init: GuestInit
  /** Takes what is known of the kernel before its rootfs is made. What it throws ends the work. */
  readonly onKernel: (facts: KernelFacts) => void
  /**
   * Takes what is known of the rootfs before it is packed: of one that is none of ours, unless its guest is for a command; and of one
   * whose systemd is to be PID 1. What it throws ends the work.
   */
  readonly onRootfs: (facts: RootfsFacts) => void
}

/** The build caches of one image. */
export interface CachePlan {
  readonly from: readonly CacheReference[]
  readonly to: readonly CacheReference[]
  /** `always`: an image that is there is solved all the same, so that its cache gets written. */
  readonly solve: 'when missing' | 'always'
}

const remote = {
  from: ['registry', 'local', 'gha', 's3', 'azblob'],
  to: ['inline', 'registry', 'local', 'gha', 's3', 'azblob'],
} as const
/** Types by what an engine keeps its images in. Its BuildKit tells only in the middle of a build that it knows no other. */
const supported = {
  graphdriver: { from: ['registry'], to: ['inline'] },
  containerd: remote,
  buildkitd: remote,
} as const

type Caching = Pick<Builder, 'kind' | 'imageStore' | 'name'>

/** @throws CacheUnsupportedError before anything is built */
export function checkCaches({ kind, imageStore, name }: Caching, { from, to }: CachePlan): void {
  const able = supported[kind === 'buildkitd' ? kind : imageStore]
  refuseUnknown(from, able.from, 'read')
  refuseUnknown(to, able.to, 'write')

  function refuseUnknown(caches: readonly CacheReference[], known: readonly string[], verb: 'read' | 'write'): void {
    const other = caches.find(({ type }) => !known.includes(type))
    if (other === undefined) return
    const store =
      able === supported.graphdriver
        ? '; or name a buildkitd in BUILDKIT_HOST, or an engine with the containerd image store'
        : ''
    throw new CacheUnsupportedError({
      what: `${name} cannot ${verb} a build cache of type=${other.type}`,
      remedy: `use type=${known.join(', type=')}${store}`,
    })
  }
}
