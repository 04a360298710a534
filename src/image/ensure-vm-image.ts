import type { StoredImage } from '../host/index.ts'
import { kernelLabel } from '../options/index.ts'
import { storedBaseImage } from './base/base-image.ts'
import { formatVmLabels, KERNEL_LABEL, kernelFactsIn } from './labels.ts'
import { planKernel } from './plan.ts'
import type { KernelFacts } from './preflight/kernel-facts.ts'
import type { RootfsFacts } from './preflight/rootfs.ts'
import type { Ingredient, KeyedIngredient } from './recipes/ingredient.ts'
import { BASE_SUITE } from './recipes/vm-image.ts'
import { checkCaches, type VmImageRequest } from './request.ts'

export interface VmImage {
  /** Tag in the engine's store; its last part is the digest of the graph. */
  readonly ref: string
  readonly origin: 'store' | 'built'
  /** What the engine said of it, where it was asked. */
  readonly stored?: StoredImage
}

/**
 * The name of the image that `ensureVmImage` would take from the engine's store; undefined where it would build one. Nothing is pulled
 * or built to know it, for a kernel and a rootfs of Debian.
 */
export async function findVmImage(request: VmImageRequest): Promise<string | undefined> {
  const { host, builder, mirror, rootfs } = request
  const suites = new Set([BASE_SUITE, ...(rootfs.kind === 'debian' ? [rootfs.suite] : [])])
  for (const suite of builder.kind === 'engine' ? suites : []) {
    if ((await storedBaseImage({ host, suite, mirror })) === undefined) return undefined
  }
  const { kernel, planImage } = await planKernel(request)
  const facts = await storedFacts(kernel, request)
  if (facts === undefined) return undefined
  const { ref } = await planImage(facts)
  return (await host.images.inspect(ref)) === undefined ? undefined : ref
}

/**
 * The image of one kernel: taken from the engine's store when its graph was solved before, else built.
 * @throws CacheUnsupportedError; BaseImageUnavailableError; SolveError; SolveCancelledError; EngineGoneError; what `onKernel` and `onRootfs` throw
 */
export async function ensureVmImage(request: VmImageRequest): Promise<VmImage> {
  checkCaches(request.builder, request.cache)
  const { kernel, planImage } = await planKernel(request)
  const facts = await findKernelFacts(kernel, request)
  request.onKernel(facts)
  const plan = await planImage(facts)
  const wanted = request.cache.solve === 'always' && request.cache.to.length > 0
  const stored = wanted ? undefined : await request.host.images.inspect(plan.ref)
  if (stored !== undefined) return { ref: plan.ref, origin: 'store', stored }
  request.log.info(`building the image of kernel ${kernelLabel(request.kernel)} (${plan.ref})`)
  // Loaded only now, and gRPC with it: most calls end a line above.
  const { buildImage } = await import('./build.ts')
  const { systemd } = plan.rootfsFacts === undefined ? {} : await learnRootfs(plan.rootfsFacts, request)
  await buildImage(
    plan,
    request,
    formatVmLabels(kernel.key, { kernel: facts, init: request.init, systemd, debugInfo: plan.debugInfo }),
  )
  return { ref: plan.ref, origin: 'built' }
}

async function learnRootfs(ingredient: Ingredient, request: VmImageRequest): Promise<RootfsFacts> {
  const { solveRootfsFacts } = await import('./solve-facts.ts')
  const facts = await solveRootfsFacts(ingredient, request)
  request.onRootfs(facts)
  return facts
}

/** From the label of any image with the kernel, whatever its rootfs, which takes the engine no more than a question. */
async function storedFacts({ key }: KeyedIngredient, { host }: VmImageRequest): Promise<KernelFacts | undefined> {
  const images = await host.images.labelsOfAll(`${KERNEL_LABEL}=${key}`)
  return images.map(kernelFactsIn).find((facts) => facts !== undefined)
}

/**
 * What is known of a kernel: from an image with it that is here; else from that of an image whose cache is to be read, so that its kernel need not be made; else from the kernel itself, which is fetched or built for it and then there for the image.
 */
async function findKernelFacts(kernel: KeyedIngredient, request: VmImageRequest): Promise<KernelFacts> {
  const stored = await storedFacts(kernel, request)
  if (stored !== undefined) return stored
  const { cachedFacts, solveFacts } = await import('./solve-facts.ts')
  return (await cachedFacts(kernel, request)) ?? (await solveFacts(kernel, request))
}
