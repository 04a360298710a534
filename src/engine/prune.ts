import { reasonOf } from '../errors/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { EngineAddress } from './address.ts'
import type { Engine, EngineClient } from './connect.ts'
import { imagePath } from './images.ts'
import { LABELS, ownerState, parseOwner } from './owner.ts'
import { requestJson, statusOf } from './request.ts'

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
  const abandoned = await listAbandoned(engine, unknownOwners)
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

/** What `prune` would remove that runs left. */
export async function listAbandoned(
  engine: Engine,
  unknownOwners: NonNullable<PruneOptions['unknownOwners']> = 'keep',
): Promise<readonly RemovableLeftover[]> {
  return (await listLeftovers(engine)).filter(({ owner }) => {
    const parsed = parseOwner(owner ?? '')
    const state = parsed === undefined ? 'unknown' : ownerState(parsed, engine)
    return state === 'dead' || (state === 'unknown' && unknownOwners === 'remove')
  })
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

/** A thing of ours in the engine. */
export interface Leftover {
  readonly kind: 'container' | 'network' | 'volume' | 'image'
  readonly id: string
  readonly name: string
}

interface RemovableLeftover extends Leftover {
  /** Value of the owner's label; `undefined` for a cache, which nobody owns. */
  readonly owner: string | undefined
  remove(): Promise<unknown>
}

/** What runs made, in an order in which it can be removed: containers hold on to networks and volumes. */
async function listLeftovers({ address }: Engine): Promise<readonly RemovableLeftover[]> {
  const query = { filters: JSON.stringify({ label: [LABELS.run] }) }
  const [containers, networks, { Volumes: volumes }] = await Promise.all([
    requestJson<ListedContainer[]>(address, { path: '/containers/json', query: { all: '1', ...query } }),
    requestJson<ListedNetwork[]>(address, { path: '/networks', query }),
    requestJson<ListedVolumes>(address, { path: '/volumes', query }),
  ])
  return [
    ...containers.map(({ Id, Names, Labels }) => ({
      kind: 'container' as const,
      id: Id,
      name: Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12),
      owner: Labels[LABELS.owner] ?? '',
      remove: () => remove(address, `/containers/${Id}`, { force: '1', v: '1' }),
    })),
    ...networks.map(({ Id, Name, Labels }) => ({
      kind: 'network' as const,
      id: Id,
      name: Name,
      owner: Labels?.[LABELS.owner] ?? '',
      remove: () => remove(address, `/networks/${Id}`),
    })),
    // The engine answers null for no volume.
    ...(volumes ?? []).map(({ Name, Labels }) => ({
      kind: 'volume' as const,
      id: Name,
      name: Name,
      owner: Labels?.[LABELS.owner] ?? '',
      remove: () => remove(address, volumePath(Name)),
    })),
  ]
}

type Labels = Readonly<Record<string, string>>

interface ListedContainer {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Labels: Labels
}

interface ListedNetwork {
  readonly Id: string
  readonly Name: string
  readonly Labels: Labels | null
}

interface ListedVolumes {
  readonly Volumes: readonly { readonly Name: string; readonly Labels: Labels | null }[] | null
}

interface ListedImage {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  /** Unix time in seconds. */
  readonly Created: number
}

async function remove(address: EngineAddress, path: string, query?: Readonly<Record<string, string>>) {
  await requestJson(address, { method: 'DELETE', path, ...(query && { query }) })
}

function volumePath(name: string): string {
  return `/volumes/${encodeURIComponent(name)}`
}

/** What is kept for later runs: volumes and images that no run owns, newest images first, because they build on older ones. */
async function listCaches({ address }: Engine): Promise<readonly RemovableLeftover[]> {
  const query = { filters: JSON.stringify({ label: [LABELS.image] }) }
  const [{ Volumes: volumes }, images] = await Promise.all([
    requestJson<ListedVolumes>(address, { path: '/volumes', query }),
    requestJson<ListedImage[]>(address, { path: '/images/json', query }),
  ])
  return [
    ...(volumes ?? [])
      .filter(({ Labels }) => Labels?.[LABELS.run] === undefined)
      .map(({ Name }) => ({
        kind: 'volume' as const,
        id: Name,
        name: Name,
        owner: undefined,
        remove: () => remove(address, volumePath(Name)),
      })),
    ...images
      .toSorted((one, other) => other.Created - one.Created)
      .flatMap(({ Id, RepoTags }) => {
        const names = (RepoTags ?? []).filter((name) => name !== '<none>:<none>')
        return (names.length > 0 ? names : [Id]).map((name) => ({
          kind: 'image' as const,
          id: Id,
          name,
          owner: undefined,
          remove: () => remove(address, imagePath(name)),
        }))
      }),
  ]
}

/** Removes a volume and what is in it. One that a container uses stays. */
export async function removeVolume(engine: EngineClient, name: string): Promise<'removed' | 'absent' | 'in use'> {
  try {
    await remove(engine.address, volumePath(name))
    return 'removed'
  } catch (error) {
    if (statusOf(error) === 404) return 'absent'
    if (statusOf(error) === 409) return 'in use'
    throw error
  }
}

export async function hasVolume(engine: EngineClient, name: string): Promise<boolean> {
  try {
    await requestJson(engine.address, { path: volumePath(name) })
    return true
  } catch (error) {
    if (statusOf(error) === 404) return false
    throw error
  }
}
