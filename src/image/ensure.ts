import { createHash, randomUUID } from 'node:crypto'
import {
  type Buildkit,
  credentialsFor,
  exporters,
  llb,
  localDirs,
  registryAuth,
  type SolveStatus,
  withImageConfig,
} from '../buildkit/index.ts'
import { type Engine, hasImage, imageLabels, removeImage } from '../engine/index.ts'
import type { Logger } from '../log/index.ts'
import { type KernelReference, kernelLabel, type RootfsReference } from '../options/index.ts'
import { imagePaths, standaloneArguments } from '../qemu/index.ts'
import { ensureBaseImage } from './base/index.ts'
import { kernel } from './recipes/kernel/index.ts'
import { rootfs } from './recipes/rootfs/index.ts'
import { tools } from './recipes/tools.ts'
import { BASE_SUITE, vmImage } from './recipes/vm-image.ts'

export interface VmImageRequest {
  readonly engine: Engine
  /** Called only when something has to be built. */
  readonly connectBuildkit: () => Promise<Buildkit>
  readonly kernel: KernelReference
  readonly rootfs: RootfsReference
  /** The guest's command in place of dockerd. */
  readonly init: readonly string[] | undefined
  readonly mirror: string | undefined
  /** Where sources of the kernel are taken from in place of kernel.org. */
  readonly kernelMirror: string | undefined
  /** Directory of docker's config.json, for registries that ask who we are. */
  readonly dockerConfigDirectory: string
  /** For what is remembered between runs. */
  readonly cacheDirectory: string
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
  const { ref, definition, directories } = await plan(request)
  if (await hasImage(engine, ref)) return { ref, origin: 'store' }
  log.info(`building the image of kernel ${kernelLabel(request.kernel)} (${ref})`)
  await using buildkit = await request.connectBuildkit()
  // Two solves: BuildKit of 20.10 drops the configuration of an image that has no frontend. The first result has a name of
  // its own, so that the tag never stands for an image without entrypoint, and no other build removes it.
  const unconfigured = `${ref}-${randomUUID()}`
  const shared = { signal, onStatus: request.onStatus }
  const attachables = [localDirs(directories ?? {}), registryAuth({ configDir: request.dockerConfigDirectory })]
  await buildkit.solve({ definition, attachables, exporter: exporters.moby({ names: [unconfigured] }), ...shared })
  try {
    const configured = withImageConfig(unconfigured, imageConfig)
    await buildkit.solve({ ...configured, exporter: exporters.moby({ names: [ref] }), ...shared })
  } finally {
    await removeImage(engine, unconfigured)
  }
  return { ref, origin: 'built' }
}

const imageConfig = {
  entrypoint: [imagePaths.entrypoint],
  // For `docker run IMAGE`; a VM of ours has a command of its own.
  cmd: standaloneArguments(),
  labels: imageLabels('vm'),
}

/** What to solve, and the tag that stands for all that goes in: graph, content that the graph only names, configuration. */
async function plan(request: VmImageRequest) {
  const { engine, mirror, log, signal } = request
  const credentials = (registry: string) => credentialsFor(registry, request.dockerConfigDirectory)
  const base = async (suite: string) => (await ensureBaseImage({ engine, suite, mirror, credentials, signal, log })).ref
  const baseRef = await base(BASE_SUITE)
  const from = llb.image(baseRef, { name: `[base] ${baseRef}` })
  const withTools = tools(from, { mirror, suite: BASE_SUITE })
  const { state, contentKey, directories } = vmImage({
    base: from,
    tools: withTools,
    mirror,
    kernel: await kernel(request.kernel, { ...request, credentials, base: from, tools: withTools, suite: BASE_SUITE }),
    rootfs: await rootfs(request.rootfs, { ...request, credentials, tools: withTools, base }),
    init: request.init,
  })
  const definition = state.definition()
  const input = JSON.stringify([definition.digest, contentKey, imageConfig])
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 16)
  // What a tag may have of a label that people read.
  const name = kernelLabel(request.kernel)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9_.-]+/g, '-')
    .slice(0, 64)
  return { definition, directories, ref: `testkernels/vm:${name}-${digest}` }
}
