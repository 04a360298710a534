import type { RegistryOptions } from '../host/index.ts'

/** What `docker login` left in a directory, by the name of a registry. Read when it is asked for. */
export function registryCredentials(dockerConfigDirectory: string): NonNullable<RegistryOptions['credentials']> {
  return async (registry) => {
    const { credentialsFor } = await import('../buildkit/index.ts')
    return await credentialsFor(registry, dockerConfigDirectory)
  }
}
