import { type Engine, labelsOfImages } from '../engine/index.ts'
import type { KernelPlan } from './plan.ts'
import { formatKernelFacts, type KernelFacts, parseKernelFacts } from './preflight/index.ts'
import type { VmImageRequest } from './request.ts'

/** On each image of a VM: the key of the kernel in it, and what is known of it. */
const KEY_LABEL = 'testkernels.kernel'
const FACTS_LABEL = 'testkernels.kernel.facts'

/**
 * What is known of a kernel: from the label of any image with it, whatever its rootfs, which takes the engine no more than a
 * question; else from the kernel itself, which is fetched or built for it and then there for the image.
 */
export async function kernelFacts(kernel: KernelPlan, request: VmImageRequest): Promise<KernelFacts> {
  const stored = await storedFacts(kernel, request.engine)
  if (stored !== undefined) return stored
  const { solveFacts } = await import('./solve-facts.ts')
  return await solveFacts(kernel, request)
}

/** Labels for an image with this kernel. */
export function kernelLabels({ key }: KernelPlan, facts: KernelFacts): Record<string, string> {
  return { [KEY_LABEL]: key, [FACTS_LABEL]: formatKernelFacts(facts) }
}

async function storedFacts({ key }: KernelPlan, engine: Engine): Promise<KernelFacts | undefined> {
  const images = await labelsOfImages(engine, `${KEY_LABEL}=${key}`)
  return images.map((labels) => parseKernelFacts(labels[FACTS_LABEL] ?? '')).find((facts) => facts !== undefined)
}
