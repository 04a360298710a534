import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TestkernelsError } from '../../../errors/index.ts'
import { askCredentialHelper } from './credential-helper.ts'
import { anonymous, type Credentials, registryKey } from './credentials.ts'

/** docker's configuration cannot be read. */
export class DockerConfigError extends TestkernelsError {
  readonly code = 'DOCKER_CONFIG'
}

/** The keys of config.json that are about credentials. */
interface DockerConfig {
  readonly auths?: Readonly<Record<string, AuthEntry>>
  readonly credHelpers?: Readonly<Record<string, string>>
  readonly credsStore?: string
}

interface AuthEntry {
  /** Base64 of `user:password`. */
  readonly auth?: string
  readonly username?: string
  readonly password?: string
  readonly identitytoken?: string
}

/** The credentials `docker pull` would use for a registry: of its helper, of the default store, or of the file itself. */
export async function credentialsFor(host: string, configDir: string): Promise<Credentials> {
  const config = await readConfig(join(configDir, 'config.json'))
  const key = registryKey(host)
  const helper = config.credHelpers?.[key] ?? config.credHelpers?.[host] ?? config.credsStore
  const stored = helper === undefined || helper === '' ? undefined : await askCredentialHelper(helper, key)
  return stored ?? fromEntry(findEntry(config.auths ?? {}, key)) ?? anonymous
}

async function readConfig(path: string): Promise<DockerConfig> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as DockerConfig
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return {}
    throw new DockerConfigError({ what: `cannot read ${path}`, cause, remedy: 'correct the file, or log in again' })
  }
}

/** Keys of the file may be host names or whole addresses: `https://host/v1/`. */
function findEntry(auths: Readonly<Record<string, AuthEntry>>, key: string): AuthEntry | undefined {
  return auths[key] ?? Object.entries(auths).find(([address]) => hostOf(address) === hostOf(key))?.[1]
}

function hostOf(address: string): string {
  return address.replace(/^https?:\/\//, '').split('/')[0] ?? ''
}

function fromEntry(entry: AuthEntry | undefined): Credentials | undefined {
  if (entry === undefined) return undefined
  const { auth, identitytoken, username = '', password = '' } = entry
  if (identitytoken !== undefined && identitytoken !== '') return { username: '', secret: identitytoken }
  if (auth === undefined || auth === '') return username === '' ? undefined : { username, secret: password }
  const decoded = Buffer.from(auth, 'base64').toString()
  const colon = decoded.indexOf(':')
  return colon < 0 ? undefined : { username: decoded.slice(0, colon), secret: decoded.slice(colon + 1) }
}
