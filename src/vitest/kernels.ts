import { inject } from 'vitest'
import { type Kernel, kernelOf } from '../worker/index.ts'

/** The VMs of this project, in the order of the matrix. Works at the top level of a test file, for `describe.each`. */
export function kernels(): Kernel[] {
  return inject('testkernels').kernels.map(kernelOf)
}
