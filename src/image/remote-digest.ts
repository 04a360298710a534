import { registryAuth } from '../buildkit/index.ts'
import type { Builder } from '../host/index.ts'
import { ImageUnusableError } from './errors.ts'

interface RemoteDigestOptions {
  readonly builder: Builder
  readonly dockerConfigDirectory: string
  readonly signal: AbortSignal
}

/**
 * What the registry has under a name, as the builder sees it.
 * @throws ImageUnusableError
 */
export async function remoteDigest(ref: string, options: RemoteDigestOptions): Promise<string> {
  const { builder, dockerConfigDirectory, signal } = options
  await using buildkit = await builder.connect()
  const image = await buildkit.remoteImage({
    ref,
    attachables: [registryAuth({ configDir: dockerConfigDirectory })],
    signal,
  })
  if (image !== undefined) return image.digest
  throw new ImageUnusableError({
    what: `the buildkitd of BUILDKIT_HOST cannot get the image ${ref}`,
    remedy:
      "push it to a registry that it can reach and log in with `docker login`; or unset BUILDKIT_HOST, because the engine's own BuildKit sees the engine's images",
  })
}
