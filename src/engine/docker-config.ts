import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EngineAddressInvalidError } from './errors.ts'

/** What a Docker context says about its engine. */
export interface DockerContext {
  readonly host: string
  readonly tlsDirectory: string
  readonly skipTlsVerify: boolean
}

/** The context that config.json names, if it names one. A config.json that cannot be read is as good as none. */
export async function currentContext(configDirectory: string): Promise<string | undefined> {
  const config = await readJson(join(configDirectory, 'config.json'))
  return stringIn(config, 'currentContext')
}

/** Proxies, by what they are for: URLs, and hosts separated by commas for which there is none. */
export interface Proxies {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly no?: string | undefined
}

/** The proxies that config.json has docker give to containers, whatever the engine; undefined if it has none. */
export async function clientProxies(configDirectory: string): Promise<Proxies | undefined> {
  const config = await readJson(join(configDirectory, 'config.json'))
  const named = property(property(config, 'proxies'), 'default')
  const [http, https, no] = ['httpProxy', 'httpsProxy', 'noProxy'].map((key) => stringIn(named, key))
  return http === undefined && https === undefined ? undefined : { http, https, no }
}

/** The docker CLI keeps each context in a directory named by the digest of the context's name. */
export async function readContext(configDirectory: string, name: string): Promise<DockerContext> {
  const digest = createHash('sha256').update(name).digest('hex')
  const file = join(configDirectory, 'contexts/meta', digest, 'meta.json')
  const meta = await readJson(file)
  const endpoint = property(property(meta, 'Endpoints'), 'docker')
  const host = stringIn(endpoint, 'Host')
  if (host === undefined) {
    throw new EngineAddressInvalidError({
      what: `the Docker context "${name}" ${meta === undefined ? 'does not exist' : 'names no engine'} (${file})`,
      remedy: 'choose one that `docker context ls` shows, unset DOCKER_CONTEXT, or set DOCKER_HOST',
    })
  }
  return {
    host,
    tlsDirectory: join(configDirectory, 'contexts/tls', digest, 'docker'),
    skipTlsVerify: property(endpoint, 'SkipTLSVerify') === true,
  }
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return undefined
  }
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

function stringIn(value: unknown, key: string): string | undefined {
  const found = property(value, key)
  return typeof found === 'string' && found !== '' ? found : undefined
}
