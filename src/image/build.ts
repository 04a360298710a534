import { randomUUID } from 'node:crypto'
import { exporters, localDirs, registryAuth, withImageConfig } from '../buildkit/index.ts'
import { removeImage } from '../engine/index.ts'
import { type ImagePlan, imageConfig } from './plan.ts'
import type { VmImageRequest } from './request.ts'

/**
 * Two solves: BuildKit of 20.10 drops the configuration of an image that has no frontend. The first result has a name of its
 * own, so that the tag never stands for an image without entrypoint, and no other build removes it.
 */
export async function buildImage(
  plan: ImagePlan,
  request: VmImageRequest,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
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
