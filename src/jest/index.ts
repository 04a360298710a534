export type { KernelMatrixOptions } from '../options/index.ts'
export type { Kernel, ProvidedKernel } from '../worker/index.ts'
export { type JestProject, type KernelProjectOptions, kernelMatrix, kernelProjects, kernelSuite } from './config.ts'
export { kernels } from './kernels.cjs'
