export { aptMirror, type MirrorOptions } from './apt-mirror.ts'
export {
  type BaseImage,
  type BaseImageOptions,
  baseImageRefs,
  ensureBaseImage,
  officialBaseImage,
} from './base-image.ts'
export { BaseImageUnavailableError, BootstrapError } from './errors.ts'
