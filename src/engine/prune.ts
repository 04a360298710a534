import { reasonOf } from '../errors/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { EngineAddress } from './address.ts'
import type { Engine, EngineClient } from './connect.ts'
import { imagePath } from './images.ts'
import { isOwnerHere, LABELS } from './labels.ts'
import { networkPath } from './networks.ts'
import { requestDocument, requestJson, statusOf } from './request.ts'

export interface PruneOptions {
  /** What is kept for later runs and goes as well: images, and volumes that cache what was made from them. @default none */
  readonly caches?: readonly ('image' | 'volume')[]
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

/** A thing of ours in the engine. */
export interface Leftover {
  readonly kind: 'container' | 'volume' | 'network' | 'image'
  readonly id: string
  readonly name: string
}

interface RemovableLeftover extends Leftover {
  remove(): Promise<unknown>
}

/** From its creation to its start a container takes a few round trips. */
const NEW_FOR_MS = 60_000

/**
 * Removes what runs left. What somebody needs stays, be he another user, in another container or on another machine; safe to run beside
 * other runs and other prunes.
 *
 * Who lives is not asked, because the engine knows already. A container that runs ends with the connection of its owner, which his kernel
 * closes when he dies (see `runAttached`); a volume or a network of a run is somebody's as long as a container has it, and the engine removes
 * none that one has. What is left to judge never ran: a container that nobody has started for a minute. If somebody would have, he makes another.
 */
export async function prune(engine: Engine, options: PruneOptions = {}): Promise<PruneResult> {
  const { caches = [], signal, log = silentLogger } = options
  const removed: Leftover[] = []
  const refused: RefusedLeftover[] = []
  const remove = async (leftovers: readonly RemovableLeftover[]) => {
    for (const leftover of leftovers) {
      signal?.throwIfAborted()
      const { kind, id, name } = leftover
      const reason = await tryRemove(leftover)
      if (reason === undefined) removed.push({ kind, id, name })
      else refused.push({ kind, id, name, reason })
      log.debug(reason === undefined ? `removed ${kind} ${name}` : `kept ${kind} ${name}: ${reason}`)
    }
  }
  await remove(await abandonedContainers(engine))
  // Among them those that the containers had.
  await remove(await abandonedVolumes(engine))
  await remove(await abandonedNetworks(engine))
  if (caches.length > 0)
    await remove((await listCaches(engine)).filter(({ kind }) => caches.some((wanted) => wanted === kind)))
  return { removed, refused }
}

/** What `prune` would remove that runs left. */
export async function listAbandoned(engine: Engine): Promise<readonly Leftover[]> {
  return (await Promise.all([abandonedContainers(engine), abandonedVolumes(engine), abandonedNetworks(engine)])).flat()
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

/** What a container is that its run left, by the engine's word for it. */
const NOT_RUNNING = ['created', 'exited', 'dead']

/** Not by force: one that was started just now stays. */
function removeNotRunning(address: EngineAddress, id: string): Promise<void> {
  return remove(address, `/containers/${id}`, { v: '1' })
}

async function abandonedContainers({ address }: Engine): Promise<readonly RemovableLeftover[]> {
  const filters = JSON.stringify({ label: [LABELS.run], status: NOT_RUNNING })
  const query = { all: '1', filters }
  const path = '/containers/json'
  const { document, headers } = await requestDocument<ListedContainer[]>(address, { path, query })
  // By the clock that says when they were made.
  const nowMs = Date.parse(headers.date ?? '')
  return document
    .filter(({ State, Created }) => State !== 'created' || nowMs - Created * 1000 > NEW_FOR_MS)
    .map(({ Id, Names }) => ({
      kind: 'container',
      id: Id,
      name: Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12),
      remove: () => removeNotRunning(address, Id),
    }))
}

/**
 * Whether a name that a container has is free, or is about to be: one that `prune` would remove is removed, and one whose owner is gone
 * ends by itself. Whether it is nobody can tell who is not on its machine; one that does not end keeps the name.
 */
export async function freeName({ address }: EngineClient, name: string): Promise<'free' | 'ending' | 'held'> {
  try {
    const path = `/containers/${encodeURIComponent(name)}`
    const { document, headers } = await requestDocument<NamedContainer>(address, { path: `${path}/json` })
    const { Id, Created, State, Config } = document
    if (Config.Labels?.[LABELS.run] === undefined) return 'held'
    const isNew = Date.parse(headers.date ?? '') - Date.parse(Created) <= NEW_FOR_MS
    if (State.Status === 'created' && isNew) return 'held'
    if (!NOT_RUNNING.includes(State.Status))
      return State.Status !== 'removing' && isOwnerHere(Config.Labels) ? 'held' : 'ending'
    await removeNotRunning(address, Id)
    return 'free'
  } catch (error) {
    if (statusOf(error) === 404) return 'free'
    // The engine is at it, or it was started just now.
    if (statusOf(error) === 409) return 'ending'
    throw error
  }
}

interface NamedContainer {
  readonly Id: string
  /** As ISO 8601 has it. */
  readonly Created: string
  readonly State: { readonly Status: string }
  readonly Config: { readonly Labels?: Readonly<Record<string, string>> | null }
}

async function abandonedVolumes({ address }: Engine): Promise<readonly RemovableLeftover[]> {
  const filters = JSON.stringify({ label: [LABELS.run], dangling: ['true'] })
  const { Volumes: volumes } = await requestJson<ListedVolumes>(address, { path: '/volumes', query: { filters } })
  // The engine answers null for no volume.
  return (volumes ?? []).map(({ Name }) => listedVolume(address, Name))
}

/** No container that runs is on them. One that is about to be started makes its own again (see `runAttached`). */
async function abandonedNetworks({ address }: Engine): Promise<readonly RemovableLeftover[]> {
  const filters = JSON.stringify({ label: [LABELS.run], dangling: ['true'] })
  const networks = await requestJson<ListedNetwork[]>(address, { path: '/networks', query: { filters } })
  return networks.map(({ Id, Name }) => ({
    kind: 'network',
    id: Id,
    name: Name,
    remove: () => remove(address, networkPath(Id)),
  }))
}

function listedVolume(address: EngineAddress, name: string): RemovableLeftover {
  return { kind: 'volume', id: name, name, remove: () => remove(address, volumePath(name)) }
}

interface ListedContainer {
  readonly Id: string
  readonly Names: readonly string[]
  /** Such as `created`. */
  readonly State: string
  /** Unix time in seconds. */
  readonly Created: number
}

interface ListedNetwork {
  readonly Id: string
  readonly Name: string
}

interface ListedVolumes {
  readonly Volumes:
    | readonly { readonly Name: string; readonly Labels: Readonly<Record<string, string>> | null }[]
    | null
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
      .map(({ Name }) => listedVolume(address, Name)),
    ...images
      .toSorted((one, other) => other.Created - one.Created)
      .flatMap(({ Id, RepoTags }) => {
        const names = (RepoTags ?? []).filter((name) => name !== '<none>:<none>')
        return (names.length > 0 ? names : [Id]).map((name) => ({
          kind: 'image' as const,
          id: Id,
          name,
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
