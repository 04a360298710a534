import { engineClient, removeImage, tagImage } from '../../engine/index.ts'
import type { Images } from '../images.ts'

/** A guest's dockerd, as far as we ask it. */
export interface Dockerd {
  readonly images: Pick<Images, 'tag' | 'remove'>
  ping(): Promise<unknown>
}

/** The dockerd behind a unix socket of this machine. */
export function dockerdAt(socketPath: string): Dockerd {
  const client = engineClient({ kind: 'unix', path: socketPath })
  return {
    images: {
      tag: (ref, newRef) => tagImage(client, ref, newRef),
      remove: (ref) => removeImage(client, ref),
    },
    ping: () => client.docker.ping(),
  }
}
