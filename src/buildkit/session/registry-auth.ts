import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import * as v from 'valibot'
import { TestkernelsError } from '../../errors/index.ts'
import { orAborted, startDeadline, waitingFor } from '../../lifetime/index.ts'
import { readText } from '../../log/index.ts'
import { Auth } from '../gen/filesync_pb.ts'
import type { Attachable } from './services.ts'

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

/** A helper may ask its user for a password, but not for ever. */
const HELPER_DEADLINE_MS = 60_000

/** The credentials `docker pull` would use for a registry: of its helper, of the default store, or of the file itself. */
export async function credentialsFor(
  host: string,
  configDir: string,
  helperDeadlineMs = HELPER_DEADLINE_MS,
): Promise<Credentials> {
  const config = await readConfig(join(configDir, 'config.json'))
  const key = registryKey(host)
  const helper = config.credHelpers?.[key] ?? config.credHelpers?.[host] ?? config.credsStore
  const stored =
    helper === undefined || helper === '' ? undefined : await askCredentialHelper(helper, key, helperDeadlineMs)
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

interface Credentials {
  readonly username: string
  /** A password, or with an empty user name an identity token. */
  readonly secret: string
}

const anonymous: Credentials = { username: '', secret: '' }

/** The name that Docker Hub has in docker's configuration, whatever its hosts are called. */
const HUB = 'https://index.docker.io/v1/'
const hubHosts = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** What `docker login` keeps the credentials for `host` under. */
function registryKey(host: string): string {
  return hubHosts.has(host) ? HUB : host
}

/** A program that docker's configuration names for credentials did not give any. */
export class CredentialHelperError extends TestkernelsError {
  readonly code = 'CREDENTIAL_HELPER'
}

/** A token has some thousand. */
const HELPER_OUTPUT_MAX_BYTES = 1024 * 1024

/** Runs `docker-credential-NAME get`. Undefined when it knows of none for this registry. */
async function askCredentialHelper(
  name: string,
  registry: string,
  deadlineMs: number,
): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`
  const { stdout, stderr, exitCode } = await runHelper(program, registry, deadlineMs).catch((cause: unknown) => {
    throw failed(program, registry, { cause })
  })
  if (exitCode !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined
    throw failed(program, registry, { output: `${stdout}${stderr}` })
  }
  const { Username: username = '', Secret: secret = '' } = parseAnswer(stdout, program, registry)
  // The helpers' way to say that the secret is an identity token.
  return username === '<token>' ? { username: '', secret } : { username, secret }
}

async function runHelper(program: string, input: string, deadlineMs: number) {
  using _wait = waitingFor(`${program} to answer`)
  using deadline = startDeadline({
    ms: deadlineMs,
    onPassed: () => new Error(`it did not answer within ${deadlineMs / 1000} s`),
  })
  const helper = spawn(program, ['get'])
  const exited = new Promise<number | null>((resolve, reject) => {
    helper.once('error', reject)
    helper.once('close', resolve)
  })
  // A helper that ends without reading is judged by its exit code.
  helper.stdin.on('error', () => {})
  helper.stdin.end(input)
  const said = (stream: Readable) => readText(stream, { maxBytes: HELPER_OUTPUT_MAX_BYTES })
  try {
    const answer = Promise.all([exited, said(helper.stdout), said(helper.stderr)])
    const [exitCode, stdout, stderr] = await orAborted(answer, deadline.signal)
    return { stdout, stderr, exitCode }
  } catch (thrown) {
    helper.kill('SIGKILL')
    // What it started may have them as well, and lives on.
    for (const stream of [helper.stdin, helper.stdout, helper.stderr]) stream.destroy()
    throw thrown
  }
}

const helperAnswer = v.object({ Username: v.optional(v.string()), Secret: v.optional(v.string()) })

function parseAnswer(stdout: string, program: string, registry: string): v.InferOutput<typeof helperAnswer> {
  try {
    return v.parse(helperAnswer, JSON.parse(stdout))
  } catch {
    // What it printed may be a secret: it stays out of the message.
    throw failed(program, registry, { cause: new Error('its answer is not JSON with a Username and a Secret') })
  }
}

function failed(program: string, registry: string, details: { cause?: unknown; output?: string }) {
  return new CredentialHelperError({
    ...details,
    what: `${program} gave no credentials for ${registry}`,
    remedy: `install or repair ${program}, or take it out of credHelpers and credsStore in docker's config.json`,
  })
}
