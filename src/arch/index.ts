export type { Architecture } from './architecture.ts'
export { architectureOf, architectures, type IdentifiedKernel, identifyKernel } from './architectures.ts'
