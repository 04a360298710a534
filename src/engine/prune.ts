import { reasonOf } from '../errors/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { ownerState, parseOwner } from './owner.ts'
import { listCaches, listRunRemains, type Remains, type RemovableRemains } from './remains.ts'
import { statusOf } from './request-error.ts'

export interface PruneOptions {
  /**
   * Whether images, and volumes that cache what was made from them, go as well: all of them, those of one kind, or none.
   * @default 'keep'
   */
  readonly caches?: 'keep' | 'remove' | 'remove images' | 'remove volumes'
  /**
   * Whether the remains of processes that cannot be seen from here, on other machines or in other containers, go as well.
   * @default 'keep'
   */
  readonly unknownOwners?: 'keep' | 'remove'
  readonly signal?: AbortSignal
  readonly log?: Logger
}

export interface PruneResult {
  readonly removed: readonly Remains[]
  /** What stayed although it was to go, such as an image that a container uses. */
  readonly refused: readonly RefusedRemains[]
}

export interface RefusedRemains extends Remains {
  readonly reason: string
}

/**
 * Removes what runs left whose process is no more: after a power cut, or a SIGKILL in the wrong moment. What belongs to a
 * living process stays. Safe to run beside other runs and other prunes.
 */
export async function prune(engine: Engine, options: PruneOptions = {}): Promise<PruneResult> {
  const { caches = 'keep', unknownOwners = 'keep', signal, log = silentLogger } = options
  const abandoned = (await listRunRemains(engine)).filter(({ owner }) => {
    const parsed = parseOwner(owner ?? '')
    const state = parsed === undefined ? 'unknown' : ownerState(parsed, engine)
    return state === 'dead' || (state === 'unknown' && unknownOwners === 'remove')
  })
  const removed: Remains[] = []
  const refused: RefusedRemains[] = []
  const unwanted =
    caches === 'keep'
      ? []
      : (await listCaches(engine)).filter(({ kind }) => caches === 'remove' || caches === `remove ${kind}s`)
  for (const remains of [...abandoned, ...unwanted]) {
    signal?.throwIfAborted()
    const { kind, id, name } = remains
    const reason = await tryRemove(remains)
    if (reason === undefined) removed.push({ kind, id, name })
    else refused.push({ kind, id, name, reason })
    log.debug(reason === undefined ? `removed ${kind} ${name}` : `kept ${kind} ${name}: ${reason}`)
  }
  return { removed, refused }
}

/** `undefined` when it is gone, whoever removed it; else the reason why the engine would not. */
async function tryRemove(remains: RemovableRemains): Promise<string | undefined> {
  try {
    await remains.remove()
    return undefined
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    if (statusOf(error) === undefined) throw error
    return reasonOf(error)
  }
}
