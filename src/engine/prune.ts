import { reasonOf } from '../errors/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { type Leftover, listCaches, listLeftovers, type RemovableLeftover } from './leftovers.ts'
import { ownerState, parseOwner } from './owner.ts'
import { statusOf } from './request-error.ts'

export interface PruneOptions {
  /** What is kept for later runs and goes as well: images, and volumes that cache what was made from them. @default none */
  readonly caches?: readonly ('image' | 'volume')[]
  /**
   * Whether the remains of processes that cannot be seen from here, on other machines or in other containers, go as well.
   * @default 'keep'
   */
  readonly unknownOwners?: 'keep' | 'remove'
  readonly signal?: AbortSignal
  readonly log?: Logger
}

export interface PruneResult {
  readonly removed: readonly Leftover[]
  /** What stayed although it was to go, such as an image that a container uses. */
  readonly refused: readonly RefusedLeftover[]
}

export interface RefusedLeftover extends Leftover {
  readonly reason: string
}

/**
 * Removes what runs left whose process is no more: after a power cut, or a SIGKILL in the wrong moment. What belongs to a
 * living process stays. Safe to run beside other runs and other prunes.
 */
export async function prune(engine: Engine, options: PruneOptions = {}): Promise<PruneResult> {
  const { caches = [], unknownOwners = 'keep', signal, log = silentLogger } = options
  const abandoned = (await listLeftovers(engine)).filter(({ owner }) => {
    const parsed = parseOwner(owner ?? '')
    const state = parsed === undefined ? 'unknown' : ownerState(parsed, engine)
    return state === 'dead' || (state === 'unknown' && unknownOwners === 'remove')
  })
  const removed: Leftover[] = []
  const refused: RefusedLeftover[] = []
  const unwanted =
    caches.length === 0 ? [] : (await listCaches(engine)).filter(({ kind }) => caches.some((wanted) => wanted === kind))
  for (const leftover of [...abandoned, ...unwanted]) {
    signal?.throwIfAborted()
    const { kind, id, name } = leftover
    const reason = await tryRemove(leftover)
    if (reason === undefined) removed.push({ kind, id, name })
    else refused.push({ kind, id, name, reason })
    log.debug(reason === undefined ? `removed ${kind} ${name}` : `kept ${kind} ${name}: ${reason}`)
  }
  return { removed, refused }
}

/** `undefined` when it is gone, whoever removed it; else the reason why the engine would not. */
async function tryRemove(leftover: RemovableLeftover): Promise<string | undefined> {
  try {
    await leftover.remove()
    return undefined
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    if (statusOf(error) === undefined) throw error
    return reasonOf(error)
  }
}
