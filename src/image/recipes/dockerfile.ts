import { createHash } from 'node:crypto'
import { llb } from '../../buildkit/graph.ts'
import { dockerfileSolve, exporters, registryAuth, type SolveStatus, secrets } from '../../buildkit/index.ts'
import { type Builder, type Host, imageLabels } from '../../host/index.ts'
import type { DockerfileReference } from '../../options/index.ts'
import { BuilderUnsuitableError } from '../errors.ts'
import type { Ingredient } from './ingredient.ts'

export interface DockerfileContext {
  readonly host: Pick<Host, 'arch' | 'images'>
  readonly builder: Builder
  readonly onStatus: (status: SolveStatus) => void
  readonly dockerConfigDirectory: string
  readonly signal: AbortSignal
}

/**
 * Builds a Dockerfile into the engine's store. Each start solves it: only BuildKit knows whether its context changed, and an
 * unchanged one takes it a fraction of a second.
 * @returns the image's digest
 */
export async function buildDockerfile(
  { dockerfile, context: contextDir, buildArgs, target, secretFiles }: DockerfileReference,
  { ref, labels, ...context }: DockerfileContext & { readonly ref: string; readonly labels: Record<string, string> },
): Promise<string> {
  const { platform } = context.host.arch
  const named = target !== undefined && { target }
  const solve = await dockerfileSolve({ contextDir, dockerfile, buildArgs, labels, platform, ...named })
  const secretSources = Object.entries(secretFiles).map(([id, file]) => [id, { file }] as const)
  await using buildkit = await context.builder.connect()
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
  return exporterResponse['containerimage.digest'] ?? ''
}

/**
 * What a Dockerfile makes, a kernel or a rootfs. Its result cannot be part of our graph, so it is an image of its own first.
 * @throws BuilderUnsuitableError for a buildkitd, which would have to find that image in a registry; SolveError; LocalDirError
 */
export async function dockerfileImage(
  reference: DockerfileReference,
  { part, ...context }: DockerfileContext & { readonly part: 'kernel' | 'rootfs' },
): Promise<Ingredient> {
  if (context.builder.kind === 'buildkitd') {
    throw new BuilderUnsuitableError({
      what: `the ${part} ${reference.dockerfile} cannot be built with the buildkitd of BUILDKIT_HOST: its image would be in no registry`,
      remedy: 'push the image yourself and name it as docker-image://REF, or unset BUILDKIT_HOST',
    })
  }
  // One tag for each Dockerfile, because a graph can only name an image by a tag; it moves when the context changes.
  const digest = createHash('sha256').update(JSON.stringify(reference)).digest('hex')
  const ref = `testkernels/${part}:${digest.slice(0, 16)}`
  const contentKey = await buildDockerfile(reference, { ...context, ref, labels: imageLabels(part) })
  const name = `[${part}] ${reference.dockerfile}`
  return { state: llb.image(ref, { platform: context.host.arch.platform, name }), contentKey }
}
