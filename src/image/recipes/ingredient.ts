import type { LocalDir, State } from '../../buildkit/graph.ts'

/** One part of an image's graph, and what the graph itself does not hold. */
export interface Ingredient {
  readonly state: State
  /**
   * Stands for content that the graph only names: files of this machine, a tag that may move. Part of the image's tag, so that
   * other content is another image. None for a graph that holds all its input.
   */
  readonly contentKey?: string
  /** The directories of this machine that the graph names with `llb.local`, by those names. */
  readonly directories?: Readonly<Record<string, LocalDir>>
}
