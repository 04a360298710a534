import type { Readable } from 'node:stream'
import { orAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { ImagePullError } from './errors.ts'
import { imageId, splitRef } from './images.ts'
import { readMessages } from './messages.ts'

/** What the engine shows a registry. Both empty: nothing. */
export interface RegistryCredentials {
  readonly username: string
  /** A password, or with an empty user name an identity token. */
  readonly secret: string
}

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
  const stall = new AbortController()
  const onStall = () => stall.abort(new Error(`no news from the registry for ${stallTimeoutMs / 1000} s`))
  let timer = setTimeout(onStall, stallTimeoutMs)
  const ended = signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal])
  try {
    const credentials = await options.credentials?.(registryOf(ref))
    const authconfig = credentials === undefined ? {} : toAuthConfig(credentials)
    const { repository, tag } = splitPullRef(ref)
    const query = { fromImage: repository, tag, platform: 'linux/amd64', abortSignal: ended }
    const answer = (await orAborted(engine.docker.createImage(authconfig, query), ended)) as Readable
    for await (const { id, status } of readMessages(answer)) {
      clearTimeout(timer)
      timer = setTimeout(onStall, stallTimeoutMs)
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
      cause: stall.signal.aborted ? stall.signal.reason : cause,
    })
  } finally {
    clearTimeout(timer)
  }
}

/** The registry that the engine asks for `ref`: its first part if that looks like a host, else Docker Hub by its name. */
export function registryOf(ref: string): string {
  const [first = '', ...rest] = ref.split('/')
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io'
}

function splitPullRef(ref: string): { repository: string; tag: string } {
  const [repository = ref, digest] = ref.split('@')
  return digest === undefined ? splitRef(ref) : { repository, tag: digest }
}

function toAuthConfig({ username, secret }: RegistryCredentials): object {
  if (secret === '') return {}
  return username === '' ? { identitytoken: secret } : { username, password: secret }
}
