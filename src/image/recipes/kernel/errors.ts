import { TestkernelsError } from '../../../errors/index.ts'

/** The source of a kernel cannot be had, or not be trusted. */
export class KernelSourceUnavailableError extends TestkernelsError {
  readonly code = 'KERNEL_SOURCE_UNAVAILABLE'
}
