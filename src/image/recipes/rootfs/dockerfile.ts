import { createHash } from 'node:crypto'
import {
  type Buildkit,
  dockerfileSolve,
  exporters,
  llb,
  registryAuth,
  type SolveStatus,
  secrets,
} from '../../../buildkit/index.ts'
import { imageLabels } from '../../../engine/index.ts'
import type { DockerfileRootfs } from '../../../options/index.ts'
import type { Ingredient } from '../ingredient.ts'

export interface DockerfileContext {
  readonly connectBuildkit: () => Promise<Buildkit>
  readonly onStatus: (status: SolveStatus) => void
  readonly dockerConfigDirectory: string
  readonly signal: AbortSignal
}

/**
 * Builds a Dockerfile. Its result cannot be part of our graph, so it is an image of its own first, and each start solves it:
 * only BuildKit knows whether its context changed, and an unchanged one takes it a fraction of a second.
 */
export async function dockerfileRootfs(rootfs: DockerfileRootfs, context: DockerfileContext): Promise<Ingredient> {
  const ref = tagOf(rootfs)
  const { dockerfile, context: contextDir, buildArgs, target, secretFiles } = rootfs
  const solve = await dockerfileSolve({
    contextDir,
    dockerfile,
    buildArgs,
    labels: imageLabels('rootfs'),
    ...(target !== undefined && { target }),
  })
  const secretSources = Object.entries(secretFiles).map(([id, file]) => [id, { file }] as const)
  await using buildkit = await context.connectBuildkit()
  const { exporterResponse } = await buildkit.solve({
    ...solve,
    attachables: [
      ...solve.attachables,
      registryAuth({ configDir: context.dockerConfigDirectory }),
      secrets(Object.fromEntries(secretSources)),
    ],
    exporter: exporters.moby({ names: [ref] }),
    onStatus: context.onStatus,
    signal: context.signal,
  })
  return {
    state: llb.image(ref, { name: `[rootfs] ${dockerfile}` }),
    contentKey: exporterResponse['containerimage.digest'] ?? '',
  }
}

/** One tag for each Dockerfile, because a graph can only name an image by a tag; it moves when the context changes. */
function tagOf(rootfs: DockerfileRootfs): string {
  const digest = createHash('sha256').update(JSON.stringify(rootfs)).digest('hex')
  return `testkernels/rootfs:${digest.slice(0, 16)}`
}
