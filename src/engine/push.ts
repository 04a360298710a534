import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { ImagePushError } from './errors.ts'
import { splitRef } from './images.ts'
import { type RegistryCredentials, registryOf, toAuthConfig, transferWithRegistry } from './registry-transfer.ts'

export interface PushOptions {
  /** Asked for the registry's host. @default anonymous */
  readonly credentials?: (registry: string) => Promise<RegistryCredentials>
  /** Longest time without any news from the engine, in milliseconds. @default 60_000. @throws ImagePushError */
  readonly stallTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly log?: Logger
}

/**
 * Pushes an image of the engine's store to the registry of its name.
 * @throws ImagePushError
 */
export async function pushImage(engine: Engine, ref: string, options: PushOptions = {}): Promise<void> {
  const { stallTimeoutMs = 60_000, signal, log = silentLogger } = options
  try {
    const credentials = await options.credentials?.(registryOf(ref))
    const authconfig = credentials === undefined ? {} : toAuthConfig(credentials)
    const { repository, tag } = splitRef(ref)
    const start = (abortSignal: AbortSignal) =>
      engine.docker.getImage(repository).push({ tag, authconfig, abortSignal } as object)
    for await (const { id, status } of transferWithRegistry({ start, stallTimeoutMs, signal })) {
      // Lines about a layer repeat for each few kilobytes of it; these say how far the push is.
      if (id === undefined || status === 'Pushed') log.debug([id, status].filter(Boolean).join(': '))
    }
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ImagePushError({
      what: `the engine could not push ${ref}`,
      remedy: `check the name and the way to its registry, and log in with \`docker login\``,
      cause,
    })
  }
}
