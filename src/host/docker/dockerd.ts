import {
  containerEvents,
  engineClient,
  type InspectedContainer,
  inspectContainer,
  killContainer,
  readContainerEvents,
  removeImage,
  runningContainers,
  tagImage,
} from '../../engine/index.ts'
import type { Images } from '../images.ts'

/** A guest's dockerd, as far as we ask it. */
export interface Dockerd {
  readonly images: Pick<Images, 'tag' | 'remove'>
  readonly containers: DockerdContainers
  ping(): Promise<unknown>
}

export interface DockerdContainers {
  /** By id or name, with the ports of the guest that lead to it while it runs; undefined where there is none. */
  inspect(container: string): Promise<DockerdContainer | undefined>
  /** Ids of those that run. */
  running(): Promise<readonly string[]>
  /** Ids of containers that have started or ended, from the call on; ends with the signal or with dockerd. */
  changes(signal: AbortSignal): Promise<AsyncIterable<string>>
  kill(id: string): Promise<void>
}

export type DockerdContainer = Pick<InspectedContainer, 'id' | 'published'>

/** The dockerd behind a unix socket of this machine. */
export function dockerdAt(socketPath: string): Dockerd {
  const client = engineClient({ kind: 'unix', path: socketPath })
  return {
    images: {
      tag: (ref, newRef) => tagImage(client, ref, newRef),
      remove: (ref) => removeImage(client, ref),
    },
    containers: {
      inspect: (container) => inspectContainer(client, container),
      running: () => runningContainers(client),
      changes: async (signal) => idsIn(await containerEvents(client, { events: ['start', 'die'], signal })),
      kill: (id) => killContainer(client, id),
    },
    ping: () => client.docker.ping(),
  }
}

async function* idsIn(answer: Awaited<ReturnType<typeof containerEvents>>): AsyncGenerator<string, void> {
  for await (const { Actor } of readContainerEvents(answer)) yield Actor.ID
}
