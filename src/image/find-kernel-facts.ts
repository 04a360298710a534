import { KERNEL_LABEL, kernelFactsIn } from './labels.ts'
import type { KernelPlan } from './plan.ts'
import type { KernelFacts } from './preflight/index.ts'
import type { VmImageRequest } from './request.ts'

/**
 * What is known of a kernel: from the label of any image with it, whatever its rootfs, which takes the engine no more than a
 * question; else from that of an image whose cache is to be read, so that its kernel need not be made; else from the kernel itself, which is fetched or built for it and then there for the image.
 */
export async function findKernelFacts(kernel: KernelPlan, request: VmImageRequest): Promise<KernelFacts> {
  const images = await request.host.images.labelsOfAll(`${KERNEL_LABEL}=${kernel.key}`)
  const stored = images.map(kernelFactsIn).find((facts) => facts !== undefined)
  if (stored !== undefined) return stored
  const { cachedFacts, solveFacts } = await import('./solve-facts.ts')
  return (await cachedFacts(kernel, request)) ?? (await solveFacts(kernel, request))
}
