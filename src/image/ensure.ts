import { randomUUID } from 'node:crypto'
import { exporters, localDirs, registryAuth, withImageConfig } from '../buildkit/index.ts'
import { hasImage, removeImage } from '../engine/index.ts'
import { kernelLabel } from '../options/index.ts'
import { kernelFacts, kernelLabels } from './kernel-facts.ts'
import { type ImagePlan, imageConfig, planKernel } from './plan.ts'
import type { VmImageRequest } from './request.ts'

export interface VmImage {
  /** Tag in the engine's store; its last part is the digest of the graph. */
  readonly ref: string
  readonly origin: 'store' | 'built'
}

/**
 * The image of one kernel: taken from the engine's store when its graph was solved before, else built.
 * @throws BaseImageUnavailableError; SolveError; SolveCancelledError; EngineGoneError; what `onKernel` throws
 */
export async function ensureVmImage(request: VmImageRequest): Promise<VmImage> {
  const { kernel, planImage } = await planKernel(request)
  const facts = await kernelFacts(kernel, request)
  request.onKernel(facts)
  const plan = await planImage()
  if (await hasImage(request.engine, plan.ref)) return { ref: plan.ref, origin: 'store' }
  request.log.info(`building the image of kernel ${kernelLabel(request.kernel)} (${plan.ref})`)
  await build(plan, request, kernelLabels(kernel, facts))
  return { ref: plan.ref, origin: 'built' }
}

/**
 * Two solves: BuildKit of 20.10 drops the configuration of an image that has no frontend. The first result has a name of its
 * own, so that the tag never stands for an image without entrypoint, and no other build removes it.
 */
async function build(plan: ImagePlan, request: VmImageRequest, labels: Readonly<Record<string, string>>) {
  const { ref, definition, directories } = plan
  const { engine, signal, onStatus } = request
  await using buildkit = await request.connectBuildkit()
  const unconfigured = `${ref}-${randomUUID()}`
  const attachables = [localDirs(directories), registryAuth({ configDir: request.dockerConfigDirectory })]
  const exporter = exporters.moby({ names: [unconfigured] })
  await buildkit.solve({ definition, attachables, exporter, signal, onStatus })
  try {
    const configured = withImageConfig(unconfigured, { ...imageConfig, labels: { ...imageConfig.labels, ...labels } })
    await buildkit.solve({ ...configured, exporter: exporters.moby({ names: [ref] }), signal, onStatus })
  } finally {
    await removeImage(engine, unconfigured)
  }
}
