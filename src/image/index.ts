export { ensureBaseImage } from './base/index.ts'
export { ensureVmImage, type VmImage, type VmImageRequest } from './ensure.ts'
export { debianMirror } from './mirror.ts'
