export { type KernelProjectOptions, kernelProjects, kernelSuite } from './config.ts'
export { type Kernel, kernels } from './kernels.ts'
export type { ProvidedKernel, ProvidedKernels } from './provided.ts'
