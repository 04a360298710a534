import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { ImagePullError } from './errors.ts'
import { imageId, splitRef } from './images.ts'
import { type RegistryCredentials, registryOf, toAuthConfig, transferWithRegistry } from './registry-transfer.ts'

export interface PullOptions {
  /** Asked for the registry's host, such as `docker.io` or `registry.example.org:5000`. @default anonymous */
  readonly credentials?: (registry: string) => Promise<RegistryCredentials>
  /** Longest time without any news from the engine, in milliseconds. @default 30_000. @throws ImagePullError */
  readonly stallTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly log?: Logger
}

/**
 * Pulls an image for the engine's platform and gives its id. A registry that cannot be reached fails at the latest after
 * `stallTimeoutMs`, however long the engine itself would go on trying.
 * @throws ImagePullError
 */
export async function pullImage(engine: Engine, ref: string, options: PullOptions = {}): Promise<string> {
  const { stallTimeoutMs = 30_000, signal, log = silentLogger } = options
  try {
    const credentials = await options.credentials?.(registryOf(ref))
    const authconfig = credentials === undefined ? {} : toAuthConfig(credentials)
    const { repository, tag } = splitPullRef(ref)
    const start = (ended: AbortSignal) => {
      const query = { fromImage: repository, tag, platform: `linux/${engine.arch.name}`, abortSignal: ended }
      return engine.docker.createImage(authconfig, query)
    }
    for await (const { id, status } of transferWithRegistry({ start, stallTimeoutMs, signal })) {
      // Lines about a layer repeat for each few kilobytes of it; these two say how far the pull is.
      if (id === undefined || status === 'Pull complete') log.debug([id, status].filter(Boolean).join(': '))
    }
    const pulled = await imageId(engine, ref)
    if (pulled === undefined) throw new Error('the engine reported no failure, yet does not have the image')
    return pulled
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ImagePullError({
      what: `the engine could not pull ${ref}`,
      remedy: `check the image's name and the way to its registry, log in with \`docker login\`, or bring the image over with \`docker save\` and \`docker load\``,
      cause,
    })
  }
}

function splitPullRef(ref: string): { repository: string; tag: string } {
  const [repository = ref, digest] = ref.split('@')
  return digest === undefined ? splitRef(ref) : { repository, tag: digest }
}
