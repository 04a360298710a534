import { TestkernelsError } from '../../errors/index.ts'

/** There is no image to build on: the engine has none, could not pull one, and none could be made. */
export class BaseImageUnavailableError extends TestkernelsError {
  readonly code = 'BASE_IMAGE_UNAVAILABLE'
}

/** The bootstrap program failed, or there is none. */
export class BootstrapError extends TestkernelsError {
  readonly code = 'BASE_IMAGE_BOOTSTRAP_FAILED'
}
