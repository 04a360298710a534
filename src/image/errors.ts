import { TestkernelsError } from '../errors/index.ts'

/** The engine's BuildKit cannot read or write a build cache of this kind. */
export class CacheUnsupportedError extends TestkernelsError {
  readonly code = 'CACHE_UNSUPPORTED'
}

/** The engine's store has no such image, or one that no VM can be made of. */
export class ImageUnusableError extends TestkernelsError {
  readonly code = 'IMAGE_UNUSABLE'
}
