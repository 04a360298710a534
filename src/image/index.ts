export { ensureVmImage, type VmImage, type VmImageRequest } from './ensure.ts'
export { ensureBaseImage } from './base/index.ts'
export { debianMirror } from './mirror.ts'
