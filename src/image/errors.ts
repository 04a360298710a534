import { TestkernelsError } from '../errors/index.ts'

/** What is to be built needs the engine's own BuildKit, and another was named. */
export class BuilderUnsuitableError extends TestkernelsError {
  readonly code = 'BUILDER_UNSUITABLE'
}

/** The engine's BuildKit cannot read or write a build cache of this kind. */
export class CacheUnsupportedError extends TestkernelsError {
  readonly code = 'CACHE_UNSUPPORTED'
}

/** The rootfs has not what its guest needs, or configures its dockerd in a way that no guest can have. */
export class RootfsUnsuitableError extends TestkernelsError {
  readonly code = 'ROOTFS_UNSUITABLE'
}

/** The engine's store has no such image, or one that no VM can be made of. */
export class ImageUnusableError extends TestkernelsError {
  readonly code = 'IMAGE_UNUSABLE'
}
