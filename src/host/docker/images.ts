import {
  type Engine,
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
