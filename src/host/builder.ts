import type { Buildkit } from '../buildkit/index.ts'
import type { Logger } from '../log/index.ts'

/** What solves the graph of an image. */
export interface Builder {
  /** The engine's own BuildKit sees the engine's images; a buildkitd takes all from registries, and its result is loaded. */
  readonly kind: 'engine' | 'buildkitd'
  /** Where a host keeps its images decides what build caches its own BuildKit can read and write. */
  readonly imageStore: 'containerd' | 'graphdriver'
  /** For messages, such as `the Docker engine 20.10.24`. */
  readonly name: string
  /** Called only when something has to be built. */
  connect(): Promise<Buildkit>
}

export interface BuilderOptions {
  readonly signal: AbortSignal
  readonly log: Logger
}
