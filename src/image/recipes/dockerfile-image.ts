import { dockerfileSolve, exporters, registryAuth, type SolveStatus, secrets } from '../../buildkit/index.ts'
import type { Builder, Host } from '../../host/index.ts'
import type { DockerfileReference } from '../../options/index.ts'

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
