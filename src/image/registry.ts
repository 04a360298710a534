import type { Builder, RegistryOptions } from '../host/index.ts'
import { ImageUnusableError } from './errors.ts'

/** What `docker login` left in a directory, by the name of a registry. Read when it is asked for. */
export function registryCredentials(dockerConfigDirectory: string): NonNullable<RegistryOptions['credentials']> {
  return async (registry) => {
    const { credentialsFor } = await import('../buildkit/index.ts')
    return await credentialsFor(registry, dockerConfigDirectory)
  }
}

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
  const { registryAuth } = await import('../buildkit/index.ts')
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
