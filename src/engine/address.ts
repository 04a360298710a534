import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import { dockerConfigDirectory, homeDirectory } from '../options/index.ts'
import { currentContext, readContext } from './docker-config.ts'
import { EngineAddressInvalidError } from './errors.ts'
import type { SshAddress } from './ssh.ts'

/** Where an engine listens, as plain data. */
export type EngineAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls?: EngineTls }
  | SshAddress

export interface EngineTls {
  /** Whether the engine must prove who it is. */
  readonly verify: 'verify' | 'skip'
  /** Certificates and key as PEM text. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface ResolvedAddress {
  readonly address: EngineAddress
  /** What named the address, for messages: `DOCKER_HOST`, `context "lab" (DOCKER_CONTEXT)`, `default`. */
  readonly source: string
  /** What names another and is not heeded, because the source goes before it: `context "lab" (DOCKER_CONTEXT)`. */
  readonly passedOver?: string
}

/** The environment values that the docker CLI reads; any environment record will do. */
export type EngineEnvironment = Readonly<Record<string, string | undefined>>

const SYSTEM_SOCKET = '/var/run/docker.sock'
const PLAIN_PORT = 2375
const TLS_PORT = 2376

/**
 * The engine that the docker CLI would talk to with this environment: DOCKER_HOST, else DOCKER_CONTEXT, else the current
 * context of config.json, else the system's socket, else the rootless engine's or Docker Desktop's.
 * @throws EngineAddressInvalidError
 */
export async function resolveEngineAddress(environment: EngineEnvironment): Promise<ResolvedAddress> {
  const configDirectory = dockerConfigDirectory(environment)

  const host = given(environment, 'DOCKER_HOST')
  if (host !== undefined) {
    const tls = {
      directory: given(environment, 'DOCKER_CERT_PATH') ?? configDirectory,
      mode: tlsMode(environment),
    }
    const context = await chosenContext(environment, configDirectory)
    return {
      address: await parseHost(host, tls),
      source: 'DOCKER_HOST',
      ...(context && { passedOver: context.source }),
    }
  }

  const chosen = await chosenContext(environment, configDirectory)
  if (chosen !== undefined) {
    const { name, source } = chosen
    const context = await readContext(configDirectory, name)
    const hasTls = existsSync(context.tlsDirectory)
    const mode = hasTls || context.skipTlsVerify ? (context.skipTlsVerify ? 'skip' : 'verify') : 'none'
    return { address: await parseHost(context.host, { directory: context.tlsDirectory, mode }), source }
  }

  return { address: { kind: 'unix', path: defaultSocket(environment) }, source: 'default' }
}

async function chosenContext(environment: EngineEnvironment, configDirectory: string) {
  const fromVariable = given(environment, 'DOCKER_CONTEXT')
  const name = fromVariable ?? (await currentContext(configDirectory))
  if (name === undefined || name === 'default') return undefined
  const where = fromVariable === undefined ? join(configDirectory, 'config.json') : 'DOCKER_CONTEXT'
  return { name, source: `context "${name}" (${where})` }
}

/** The address as DOCKER_HOST would have it. */
export function formatAddress(address: EngineAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  if (address.kind === 'tcp') return `tcp://${host}:${address.port}`
  const { user, port, path = '' } = address
  return `ssh://${user === undefined ? '' : `${user}@`}${host}${port === undefined ? '' : `:${port}`}${path}`
}

interface TlsSource {
  readonly directory: string
  readonly mode: 'verify' | 'skip' | 'none'
}

async function parseHost(host: string, tls: TlsSource): Promise<EngineAddress> {
  const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/i.exec(host) ?? []
  switch (scheme.toLowerCase()) {
    case 'unix':
      return { kind: 'unix', path: rest === '' ? SYSTEM_SOCKET : rest }
    case 'tcp':
    case 'http':
      return await tcpAddress(host, rest, tls)
    case 'https':
      return await tcpAddress(host, rest, { ...tls, mode: tls.mode === 'none' ? 'verify' : tls.mode })
    case 'ssh':
      return sshAddress(host)
    default:
      throw malformed(host, `the scheme ${scheme}:// is not one of unix://, tcp://, http://, https://, ssh://`)
  }
}

/** `ssh://[USER@]HOST[:PORT][/PATH]`, as the docker command line has it. */
function sshAddress(host: string): SshAddress {
  const url = parseUrl(host)
  if (url.password !== '') throw malformed(host, 'it has a password: use a key, and an agent that knows it')
  if (url.search !== '' || url.hash !== '') throw malformed(host, 'it has a query')
  const [name, user] = [url.hostname.replace(/^\[(.*)\]$/, '$1'), decodeURIComponent(url.username)]
  // ssh would take them for options.
  if (name.startsWith('-') || user.startsWith('-')) throw malformed(host, 'a name cannot begin with -')
  return {
    kind: 'ssh',
    host: name,
    ...(user !== '' && { user }),
    ...(url.port !== '' && { port: Number(url.port) }),
    ...(url.pathname.length > 1 && { path: decodeURIComponent(url.pathname) }),
  }
}

function parseUrl(host: string, text = host): URL {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw malformed(host, reasonOf(cause))
  }
  if (url.hostname === '') throw malformed(host, 'it names no host')
  return url
}

async function tcpAddress(host: string, rest: string, tls: TlsSource): Promise<EngineAddress> {
  // Not http://, whose default port URL hides.
  const url = parseUrl(host, `tcp://${rest}`)
  if (url.pathname !== '' && url.pathname !== '/') throw malformed(host, 'it has a path')
  const defaultPort = tls.mode === 'none' ? PLAIN_PORT : TLS_PORT
  const address = {
    kind: 'tcp',
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultPort : Number(url.port),
  } as const
  if (tls.mode === 'none') return address
  return { ...address, tls: { verify: tls.mode, ...(await readCertificates(tls.directory)) } }
}

async function readCertificates(directory: string): Promise<{ ca?: string; cert?: string; key?: string }> {
  const read = async (name: 'ca' | 'cert' | 'key') => {
    try {
      return { [name]: await readFile(join(directory, `${name}.pem`), 'utf8') }
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {}
      throw new EngineAddressInvalidError({
        what: `cannot read the TLS ${name} of the Docker engine`,
        remedy: `make ${join(directory, `${name}.pem`)} readable, or set DOCKER_CERT_PATH`,
        cause,
      })
    }
  }
  return Object.assign({}, ...(await Promise.all([read('ca'), read('cert'), read('key')])))
}

function tlsMode(environment: EngineEnvironment): TlsSource['mode'] {
  if (given(environment, 'DOCKER_TLS_VERIFY') !== undefined) return 'verify'
  return given(environment, 'DOCKER_TLS') === undefined ? 'none' : 'skip'
}

function defaultSocket(environment: EngineEnvironment): string {
  const runtimeDirectory = given(environment, 'XDG_RUNTIME_DIR')
  const home = homeDirectory(environment)
  const candidates = [
    SYSTEM_SOCKET,
    ...(runtimeDirectory === undefined ? [] : [join(runtimeDirectory, 'docker.sock')]),
    ...(home === undefined ? [] : [join(home, '.docker/run/docker.sock')]),
  ]
  return candidates.find((path) => existsSync(path)) ?? SYSTEM_SOCKET
}

/** Empty is unset, as the docker CLI has it. */
function given(environment: EngineEnvironment, name: string): string | undefined {
  return environment[name] === '' ? undefined : environment[name]
}

function malformed(host: string, cause: string): EngineAddressInvalidError {
  return new EngineAddressInvalidError({
    what: `the engine's address "${host}" is malformed`,
    remedy: 'write it as unix:///var/run/docker.sock, tcp://HOST:PORT or ssh://USER@HOST',
    cause,
  })
}
