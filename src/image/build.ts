import { exporters, localDirs, registryAuth } from '../buildkit/index.ts'
import { type ImagePlan, imageConfig } from './plan.ts'
import type { VmImageRequest } from './request.ts'

/** Solves the plan's graph into the engine's store. The tag appears with the whole image, or not at all. */
export async function buildImage(
  { ref, definition, directories }: ImagePlan,
  { connectBuildkit, dockerConfigDirectory, cache, signal, onStatus }: VmImageRequest,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await using buildkit = await connectBuildkit()
  await buildkit.solve({
    definition,
    imageConfig: { ...imageConfig, labels: { ...imageConfig.labels, ...labels } },
    attachables: [localDirs(directories), registryAuth({ configDir: dockerConfigDirectory })],
    cacheImports: cache.from,
    cacheExports: cache.to,
    exporter: exporters.moby({ names: [ref] }),
    signal,
    onStatus,
  })
}
