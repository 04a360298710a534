export { type KernelMatrixOptions, kernelMatrix } from '../options/index.ts'
export type { Kernel, ProvidedKernel } from '../worker/index.ts'
export { type JestProject, type KernelProjectOptions, kernelProjects, kernelSuite } from './config.ts'
export { kernels } from './kernels.cjs'
