import { PassThrough } from 'node:stream'
import { type Exporter, exporters, localDirs, registryAuth, secrets } from '../buildkit/index.ts'
import type { Images } from '../host/index.ts'
import { aptSecrets } from './base/debian-mirror.ts'
import type { ImagePlan } from './plan.ts'
import type { VmImageRequest } from './request.ts'

/** Solves the plan's graph into the engine's store. The tag appears with the whole image, or not at all. */
export async function buildImage(
  { ref, definition, config, directories }: ImagePlan,
  { host, builder, mirror, dockerConfigDirectory, cache, signal, onStatus }: VmImageRequest,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await using buildkit = await builder.connect()
  const solveWith = async (exporter: Exporter) => {
    await buildkit.solve({
      definition,
      imageConfig: { ...config, labels: { ...config.labels, ...labels } },
      attachables: [
        localDirs(directories),
        registryAuth({ configDir: dockerConfigDirectory }),
        secrets(aptSecrets(mirror)),
      ],
      cacheImports: cache.from,
      cacheExports: cache.to,
      exporter,
      signal,
      onStatus,
    })
  }
  if (builder.kind === 'engine') await solveWith(exporters.moby({ names: [ref] }))
  else await solveAndLoad(host.images, (to) => solveWith(exporters.docker({ names: [ref], to })), signal)
}

/** The engine loads the archive while it is made; one that ends early is none. */
async function solveAndLoad(images: Images, solveInto: (to: PassThrough) => Promise<void>, signal: AbortSignal) {
  const archive = new PassThrough()
  const loading = images.load(archive, { signal })
  // Of the two that fail together, the solve says why.
  loading.catch(() => {})
  try {
    await solveInto(archive)
  } catch (thrown) {
    archive.destroy(thrown instanceof Error ? thrown : undefined)
    throw thrown
  }
  await loading
}
