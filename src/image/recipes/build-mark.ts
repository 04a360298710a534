import type { State } from '../../buildkit/graph.ts'

/** In the command of each step of ours. */
export const BUILD_MARK = 'TESTKERNELS_BUILD=1'
/** What the names of the directories that we send begin with. */
export const NAME_MARK = 'testkernels-'

/**
 * Steps on this state can be told from the user's in the build cache: of each record BuildKit keeps the command that made it,
 * and nothing else that could say whose it is.
 */
export function markOurs(state: State): State {
  return state.prefix(['env', BUILD_MARK])
}
