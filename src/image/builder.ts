import type { Buildkit } from '../buildkit/index.ts'

/** What solves the graph of an image. */
export interface Builder {
  /** The engine's own BuildKit sees the engine's images; a buildkitd takes all from registries, and its result is loaded. */
  readonly kind: 'engine' | 'buildkitd'
  /** Called only when something has to be built. */
  connect(): Promise<Buildkit>
}
