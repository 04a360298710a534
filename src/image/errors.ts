import { TestkernelsError } from '../errors/index.ts'

/** The engine's store has no such image, or one that no VM can be made of. */
export class ImageUnusableError extends TestkernelsError {
  readonly code = 'IMAGE_UNUSABLE'
}
