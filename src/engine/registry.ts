import type { Readable } from 'node:stream'
import { orAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Engine } from './connect.ts'
import { ImagePullError, ImagePushError } from './errors.ts'
import { imageId, splitRef } from './images.ts'
import { type EngineMessage, readMessages } from './request.ts'

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

export interface RegistryTransfer {
  /** Starts it; the engine answers with messages. */
  readonly start: (signal: AbortSignal) => Promise<NodeJS.ReadableStream>
  /** Longest time without any news from the engine, in milliseconds. */
  readonly stallTimeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** The messages of a pull or push. A registry that falls silent fails it, however long the engine itself would go on trying. */
async function* transferWithRegistry(transfer: RegistryTransfer): AsyncGenerator<EngineMessage, void> {
  const { start, stallTimeoutMs, signal } = transfer
  const stall = new AbortController()
  const onStall = () => stall.abort(new Error(`no news from the registry for ${stallTimeoutMs / 1000} s`))
  let timer = setTimeout(onStall, stallTimeoutMs)
  const ended = signal === undefined ? stall.signal : AbortSignal.any([signal, stall.signal])
  try {
    const answer = (await orAborted(start(ended), ended)) as Readable
    for await (const message of readMessages(answer)) {
      clearTimeout(timer)
      timer = setTimeout(onStall, stallTimeoutMs)
      yield message
    }
  } catch (thrown) {
    throw stall.signal.aborted ? stall.signal.reason : thrown
  } finally {
    clearTimeout(timer)
  }
}

/** The registry that the engine asks for `ref`: its first part if that looks like a host, else Docker Hub by its name. */
export function registryOf(ref: string): string {
  const [first = '', ...rest] = ref.split('/')
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : 'docker.io'
}

/** What the engine shows a registry. Both empty: nothing. */
export interface RegistryCredentials {
  readonly username: string
  /** A password, or with an empty user name an identity token. */
  readonly secret: string
}

function toAuthConfig({ username, secret }: RegistryCredentials): object {
  if (secret === '') return {}
  return username === '' ? { identitytoken: secret } : { username, password: secret }
}
