import { TestkernelsError } from '../errors/index.ts'
import { type Kernel, kernelOf, type ProvidedKernel } from '../worker/index.ts'

/** There are no VMs where they were asked for. */
export class NoKernelsError extends TestkernelsError {
  readonly code = 'NO_KERNELS'
}

const KEY = Symbol.for('testkernels.vitest.kernels')

interface Holder {
  [KEY]?: readonly ProvidedKernel[]
}

/** Leaves the VMs for `kernels()`; the setup file does so. */
export function setKernels(kernels: readonly ProvidedKernel[]): void {
  const holder = globalThis as Holder
  holder[KEY] = kernels
}

/**
 * The VMs of this project, in the order of the matrix. Works at the top level of a test file, for `describe.each`. Asks Vitest for
 * nothing: configurations import this module as well, and there Vitest 3 forbids the import of itself.
 * @throws NoKernelsError outside of tests
 */
export function kernels(): Kernel[] {
  const provided = (globalThis as Holder)[KEY]
  if (provided !== undefined) return provided.map(kernelOf)
  throw new NoKernelsError({
    what: 'kernels() was called where there are none',
    remedy: 'call it in test files of a project that kernelProjects() or kernelSuite() made',
  })
}
