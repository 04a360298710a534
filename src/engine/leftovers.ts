import type { Engine } from './connect.ts'
import { LABELS } from './labels.ts'

/** A thing of ours in the engine. */
export interface Leftover {
  readonly kind: 'container' | 'network' | 'volume' | 'image'
  readonly id: string
  readonly name: string
}

export interface RemovableLeftover extends Leftover {
  /** Value of the owner's label; `undefined` for a cache, which nobody owns. */
  readonly owner: string | undefined
  remove(): Promise<unknown>
}

/** What runs made, in an order in which it can be removed: containers hold on to networks and volumes. */
export async function listLeftovers({ docker }: Engine): Promise<readonly RemovableLeftover[]> {
  const filters = { label: [LABELS.run] }
  const [containers, networks, { Volumes: volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listNetworks({ filters }),
    docker.listVolumes({ filters }),
  ])
  return [
    ...containers.map(({ Id, Names, Labels }) => ({
      kind: 'container' as const,
      id: Id,
      name: Names[0]?.replace(/^\//, '') ?? Id.slice(0, 12),
      owner: Labels[LABELS.owner] ?? '',
      remove: () => docker.getContainer(Id).remove({ force: true, v: true }),
    })),
    ...networks.map(({ Id, Name, Labels }) => ({
      kind: 'network' as const,
      id: Id,
      name: Name,
      owner: Labels?.[LABELS.owner] ?? '',
      remove: () => docker.getNetwork(Id).remove(),
    })),
    // The engine answers null for no volume.
    ...(volumes ?? []).map(({ Name, Labels }) => ({
      kind: 'volume' as const,
      id: Name,
      name: Name,
      owner: Labels[LABELS.owner] ?? '',
      remove: () => docker.getVolume(Name).remove(),
    })),
  ]
}

/** What is kept for later runs: volumes and images that no run owns, newest images first, because they build on older ones. */
export async function listCaches({ docker }: Engine): Promise<readonly RemovableLeftover[]> {
  const filters = { label: [LABELS.image] }
  const [{ Volumes: volumes }, images] = await Promise.all([
    docker.listVolumes({ filters }),
    docker.listImages({ filters }),
  ])
  return [
    ...(volumes ?? [])
      .filter(({ Labels }) => Labels[LABELS.run] === undefined)
      .map(({ Name }) => ({
        kind: 'volume' as const,
        id: Name,
        name: Name,
        owner: undefined,
        remove: () => docker.getVolume(Name).remove(),
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
          remove: () => docker.getImage(name).remove(),
        }))
      }),
  ]
}
