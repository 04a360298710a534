export type { Architecture } from './architecture.ts'
export { architectureOf, architectures } from './architectures.ts'
