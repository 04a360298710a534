import type { Readable } from 'node:stream'
import { orAborted } from '../lifetime/index.ts'
import { type EngineMessage, readMessages } from './messages.ts'

export interface RegistryTransfer {
  /** Starts it; the engine answers with messages. */
  readonly start: (signal: AbortSignal) => Promise<NodeJS.ReadableStream>
  /** Longest time without any news from the engine, in milliseconds. */
  readonly stallTimeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** The messages of a pull or push. A registry that falls silent fails it, however long the engine itself would go on trying. */
export async function* transferWithRegistry(transfer: RegistryTransfer): AsyncGenerator<EngineMessage, void> {
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

export function toAuthConfig({ username, secret }: RegistryCredentials): object {
  if (secret === '') return {}
  return username === '' ? { identitytoken: secret } : { username, password: secret }
}
