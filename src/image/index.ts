export { ensureBaseImage, officialBaseImage, storedBaseImage } from './base/base-image.ts'
export { BOOTSTRAP_TOOLS } from './base/bootstrap.ts'
export { type DebianMirror, debianMirror } from './base/debian-mirror.ts'
export { type BuildCachePruneResult, pruneBuildCache } from './build-cache.ts'
export { ensureVmImage, findVmImage, type VmImage } from './ensure-vm-image.ts'
export { BuilderUnsuitableError, CacheUnsupportedError, ImageUnusableError, RootfsUnsuitableError } from './errors.ts'
export { parseVmLabels, type StoredVmImage, storedVmImage, type VmImageFacts } from './labels.ts'
export { baseState } from './plan.ts'
export { chooseDrivers, describeMachine } from './preflight/drivers.ts'
export type { KernelFacts } from './preflight/kernel-facts.ts'
export { KernelUnsuitableError, type PreflightRequest, preflight } from './preflight/preflight.ts'
export { checkRootfs, checkSystemd, type GuestEngine } from './preflight/rootfs.ts'
export { type Preload, preparePreload } from './preload.ts'
export { registryCredentials } from './recipes/ingredient.ts'
export { debianChangelog, listDebianKernels } from './recipes/kernel/debian.ts'
export {
  type ArchivedKernel,
  compareVersions,
  type KernelList,
  newestOf,
  unknownVersion,
} from './recipes/kernel/debian-versions.ts'
export { KernelSourceUnavailableError } from './recipes/kernel/kernel-org.ts'
export { BASE_SUITE } from './recipes/vm-image.ts'
export type { BuildContext, CachePlan, VmImageRequest } from './request.ts'
