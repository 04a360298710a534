import {
  type Engine,
  engineClient,
  importImage,
  inspectImage,
  labelsOfImages,
  loadImages,
  pullImage,
  pushImage,
  removeImage,
  saveImages,
  tagImage,
} from '../../engine/index.ts'
import type { Images } from '../images.ts'

export function dockerImages(engine: Engine): Images {
  return {
    inspect: (ref) => inspectImage(engine, ref),
    labelsOfAll: (label) => labelsOfImages(engine, label),
    pull: (ref, options) => pullImage(engine, ref, options),
    push: (ref, options) => pushImage(engine, ref, options),
    tag: (ref, newRef) => tagImage(engine, ref, newRef),
    remove: (ref) => removeImage(engine, ref),
    load: (tar, options) => loadImages(engine, tar, options),
    save: (refs, options) => saveImages(engine, refs, options),
    import: (tar, options) => importImage(engine, tar, options),
  }
}

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
