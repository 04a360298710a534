import type { Logger } from '../log/index.ts'

/** A thing of ours on a host. */
export interface Leftover {
  readonly kind: 'container' | 'network' | 'volume' | 'image'
  readonly id: string
  readonly name: string
}

export interface PruneOptions {
  /** What is kept for later runs and shall go as well; none is in use then. @default none */
  readonly caches?: readonly ('image' | 'volume')[]
  readonly signal?: AbortSignal
  readonly log?: Logger
}

export interface PruneResult {
  readonly removed: readonly Leftover[]
  /** What stayed although it was to go, such as an image that a container uses. */
  readonly refused: readonly (Leftover & { readonly reason: string })[]
}
