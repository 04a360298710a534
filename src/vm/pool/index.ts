export { Admission, type Turn } from './admission.ts'
export { bootNeedsMib, CLONE_NEEDS_MIB } from './needs.ts'
export { SparePool } from './spare-pool.ts'
