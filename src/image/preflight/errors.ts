import { TestkernelsError } from '../../errors/index.ts'

/** The kernel's config shows that a guest of this entry cannot work. */
export class KernelUnsuitableError extends TestkernelsError {
  readonly code = 'KERNEL_UNSUITABLE'
}
