import { kernelLabel } from '../options/index.ts'
import { checkCaches } from './cache.ts'
import { findKernelFacts } from './find-kernel-facts.ts'
import { formatVmLabels } from './labels.ts'
import { planKernel } from './plan.ts'
import type { VmImageRequest } from './request.ts'

export interface VmImage {
  /** Tag in the engine's store; its last part is the digest of the graph. */
  readonly ref: string
  readonly origin: 'store' | 'built'
}

/**
 * The image of one kernel: taken from the engine's store when its graph was solved before, else built.
 * @throws CacheUnsupportedError; BaseImageUnavailableError; SolveError; SolveCancelledError; EngineGoneError; what `onKernel` throws
 */
export async function ensureVmImage(request: VmImageRequest): Promise<VmImage> {
  checkCaches(request.builder, request.cache)
  const { kernel, planImage } = await planKernel(request)
  const facts = await findKernelFacts(kernel, request)
  request.onKernel(facts)
  const plan = await planImage()
  const wanted = request.cache.solve === 'always' && request.cache.to.length > 0
  if (!wanted && (await request.host.images.inspect(plan.ref)) !== undefined) return { ref: plan.ref, origin: 'store' }
  request.log.info(`building the image of kernel ${kernelLabel(request.kernel)} (${plan.ref})`)
  // Loaded only now, and gRPC with it: most calls end a line above.
  const { buildImage } = await import('./build.ts')
  await buildImage(plan, request, formatVmLabels(kernel.key, { kernel: facts, init: request.init }))
  return { ref: plan.ref, origin: 'built' }
}
