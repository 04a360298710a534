import {
  containerEvents,
  engineClient,
  inspectContainer,
  inspectService,
  killContainer,
  type PublishedPort,
  readContainerEvents,
  removeImage,
  removeService,
  runningContainers,
  swarmServices,
  tagImage,
} from '../../engine/index.ts'
import type { Images } from '../host.ts'

/** A guest's dockerd, as far as we ask it. */
export interface Dockerd {
  readonly images: Pick<Images, 'tag' | 'remove'>
  readonly publishers: PortPublishers
  ping(): Promise<unknown>
}

/** What publishes ports of a guest: a container, or a service of its swarm. */
export interface Publisher {
  readonly kind: 'container' | 'service'
  /** Or its name. */
  readonly id: string
}

export interface Published {
  /** That of the publisher, and not its name. */
  readonly id: string
  /** The ports of the guest that lead to it now. */
  readonly published: readonly PublishedPort[]
}

export interface PortPublishers {
  /** @returns undefined where there is none */
  inspect(publisher: Publisher): Promise<Published | undefined>
  /** Containers that run, and services. */
  list(): Promise<readonly Publisher[]>
  /** Those that have started, changed or ended, from the call on; ends with the signal or with dockerd. */
  changes(signal: AbortSignal): Promise<AsyncIterable<Publisher>>
  /** Kills a container, removes a service. */
  end(publisher: Publisher): Promise<void>
}

/** The dockerd behind a unix socket of this machine. */
export function dockerdAt(socketPath: string): Dockerd {
  const client = engineClient({ kind: 'unix', path: socketPath })
  return {
    images: {
      tag: (ref, newRef) => tagImage(client, ref, newRef),
      remove: (ref) => removeImage(client, ref),
    },
    publishers: {
      inspect: ({ kind, id }) => (kind === 'service' ? inspectService(client, id) : inspectContainer(client, id)),
      list: async () => {
        const [containers, services] = await Promise.all([runningContainers(client), swarmServices(client)])
        return [
          ...containers.map((id) => ({ kind: 'container', id }) as const),
          ...services.map((id) => ({ kind: 'service', id }) as const),
        ]
      },
      changes: async (signal) => publishersIn(await containerEvents(client, { ...changes, signal })),
      end: ({ kind, id }) => (kind === 'service' ? removeService(client, id) : killContainer(client, id)),
    },
    ping: () => client.docker.ping(),
  }
}

/** When ports of a container, and those of a service, may have changed. */
const eventsOf = { container: ['start', 'die'], service: ['create', 'update', 'remove'] } as const
const changes = { types: ['container', 'service'], events: Object.values(eventsOf).flat() } as const

async function* publishersIn(answer: Awaited<ReturnType<typeof containerEvents>>): AsyncGenerator<Publisher, void> {
  for await (const { Type: kind, Action: action, Actor } of readContainerEvents(answer)) {
    // Containers are created and updated, too, and publish nothing new by that.
    if ((eventsOf[kind] as readonly string[]).includes(action)) yield { kind, id: Actor.ID }
  }
}
