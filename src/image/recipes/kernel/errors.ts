import { TestkernelsError } from '../../../errors/index.ts'

/** The source of a kernel cannot be had, or not be trusted. */
export class KernelSourceUnavailableError extends TestkernelsError {
  readonly code = 'KERNEL_SOURCE_UNAVAILABLE'
}

/** The kernel is for another architecture than the engine's. */
export class KernelForeignError extends TestkernelsError {
  readonly code = 'KERNEL_FOREIGN'
}
