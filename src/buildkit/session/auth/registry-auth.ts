import { Auth } from '../../gen/filesync_pb.ts'
import type { Attachable } from '../attachable.ts'
import { credentialsFor } from './docker-config.ts'

export interface RegistryAuthOptions {
  /** Directory of docker's config.json. */
  readonly configDir: string
}

/** Lends the engine the credentials of `docker login` while a solve runs. They are looked up when it asks, and not before. */
export function registryAuth({ configDir }: RegistryAuthOptions): Attachable {
  return {
    register: (services) =>
      services.unary(Auth.method.credentials, async ({ host }) => credentialsFor(host, configDir)),
  }
}
