import { createHash, randomUUID } from 'node:crypto'
import { type Buildkit, exporters, localDirs, type SolveStatus, withImageConfig } from '../buildkit/index.ts'
import { type Engine, hasImage, imageLabels, removeImage } from '../engine/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelReference } from '../options/index.ts'
import { imagePaths } from '../qemu/index.ts'
import { baseImageRefs, ensureBaseImage } from './base/index.ts'
import { BASE_SUITE, vmImage } from './recipes/vm-image.ts'

export interface VmImageRequest {
  readonly engine: Engine
  /** Called only when something has to be built. */
  readonly connectBuildkit: () => Promise<Buildkit>
  readonly kernel: KernelReference
  readonly mirror: string | undefined
  /** Takes the steps of the build as BuildKit reports them. */
  readonly onStatus: (status: SolveStatus) => void
  readonly log: Logger
  readonly signal: AbortSignal
}

export interface VmImage {
  /** Tag in the engine's store; its last part is the digest of the graph. */
  readonly ref: string
  readonly origin: 'store' | 'built'
}

/**
 * The image of one kernel: taken from the engine's store when its graph was solved before, else built.
 * @throws BaseImageUnavailableError; SolveError; SolveCancelledError; EngineGoneError
 */
export async function ensureVmImage(request: VmImageRequest): Promise<VmImage> {
  const { engine, log, signal } = request
  // The graph names its base, and the base has one of two names: with either, what is there need not be built.
  for (const base of baseImageRefs(BASE_SUITE)) {
    const { ref } = plan(base, request)
    if (await hasImage(engine, ref)) return { ref, origin: 'store' }
  }
  const base = await ensureBaseImage({ engine, suite: BASE_SUITE, mirror: request.mirror, signal, log })
  const { ref, definition, directories } = plan(base.ref, request)
  log.info(`building the image of ${request.kernel.kind}:${request.kernel.suite} (${ref})`)
  await using buildkit = await request.connectBuildkit()
  // Two solves: BuildKit of 20.10 drops the configuration of an image that has no frontend. The first result has a name of
  // its own, so that the tag never stands for an image without entrypoint, and no other build removes it.
  const unconfigured = `${ref}-${randomUUID()}`
  const shared = { signal, onStatus: request.onStatus }
  const attachables = [localDirs(directories)]
  await buildkit.solve({ definition, attachables, exporter: exporters.moby({ names: [unconfigured] }), ...shared })
  try {
    const configured = withImageConfig(unconfigured, imageConfig)
    await buildkit.solve({ ...configured, exporter: exporters.moby({ names: [ref] }), ...shared })
  } finally {
    await removeImage(engine, unconfigured)
  }
  return { ref, origin: 'built' }
}

const imageConfig = { entrypoint: [imagePaths.entrypoint], labels: imageLabels('vm') }

/** What to solve, and the tag that stands for all that goes in: graph, content that the graph only names, configuration. */
function plan(base: string, { kernel, mirror }: Pick<VmImageRequest, 'kernel' | 'mirror'>) {
  const { state, contentKey = '', directories = {} } = vmImage({ base, kernel, mirror })
  const definition = state.definition()
  const input = JSON.stringify([definition.digest, contentKey, imageConfig])
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 16)
  return { definition, directories, ref: `testkernels/vm:${kernel.suite}-${digest}` }
}
