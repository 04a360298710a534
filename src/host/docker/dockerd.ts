import { engineClient, loadImages, removeImage, tagImage } from '../../engine/index.ts'
import type { Images } from '../images.ts'

/** A guest's dockerd, as far as we ask it. */
export interface Dockerd {
  readonly images: Pick<Images, 'load' | 'tag' | 'remove'>
  ping(): Promise<unknown>
}

/** The dockerd behind a unix socket of this machine. */
export function dockerdAt(socketPath: string): Dockerd {
  const client = engineClient({ kind: 'unix', path: socketPath })
  return {
    images: {
      load: (tar, options) => loadImages(client, tar, options),
      tag: (ref, newRef) => tagImage(client, ref, newRef),
      remove: (ref) => removeImage(client, ref),
    },
    ping: () => client.docker.ping(),
  }
}
