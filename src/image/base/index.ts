export { type BaseImage, type BaseImageOptions, baseImageRefs, ensureBaseImage, officialBaseImage } from './ensure.ts'
export { BaseImageUnavailableError, BootstrapError } from './errors.ts'
export { type MirrorOptions, mirrorOf } from './mirror.ts'
