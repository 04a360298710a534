import { hostname, release } from 'node:os'
import type Docker from 'dockerode'
import { type Architecture, architectureOf, architectures } from '../arch/index.ts'
import type { TestkernelsError } from '../errors/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { type EngineAddress, formatAddress } from './address.ts'
import { createClient } from './client.ts'
import type { Proxies } from './docker-config.ts'
import { EngineNotPermittedError, EngineTooOldError, EngineUnreachableError, EngineUnsupportedError } from './errors.ts'
import { errorCodeOf, requestDocument, statusOf } from './request.ts'

/** The Docker engine on the outside. There is nothing to close: each request has a connection of its own. */
export interface Engine {
  /** For what the engine can do and this folder does not wrap. Made when it is first used. */
  readonly docker: Docker
  readonly address: EngineAddress
  /** Such as `20.10.24`. */
  readonly version: string
  /** Such as `1.41`. */
  readonly apiVersion: string
  /** Of its machine, and so of its guests. */
  readonly arch: Architecture
  /** The engine's own identifier, which stays when it is started again. */
  readonly id: string
  readonly kernelVersion: string
  readonly cgroupVersion: 1 | 2
  readonly cpuCount: number
  readonly memoryMib: number
  readonly rootless: boolean
  /** Where its images are: with containerd's, its BuildKit can write caches to other places than into the image. */
  readonly imageStore: 'containerd' | 'graphdriver'
  /** Such as `overlay2`. */
  readonly storageDriver: string
  /** Where on its machine it keeps images, containers and volumes. */
  readonly rootDirectory: string
  readonly registries: EngineRegistries
  /** Whether bind mounts show this machine's files and containers' addresses can be reached from it. */
  readonly locality: 'local' | 'remote'
}

/** How an engine reaches registries. */
export interface EngineRegistries {
  /** URLs of those that it asks for Docker Hub's images. */
  readonly mirrors: readonly string[]
  /** `HOST:PORT` and CIDRs that it speaks HTTP with, or TLS without a check; but loopback, which every engine has. */
  readonly insecure: readonly string[]
  /** A password is not told: `xxxxx:xxxxx@` stands in its place. */
  readonly proxies: Proxies
}

/** What a question to an engine needs, be it this one or a guest's. */
export type EngineClient = Pick<Engine, 'docker' | 'address'>

/** A client of an engine that is known to answer. */
export function engineClient(address: EngineAddress): EngineClient {
  let docker: Docker | undefined
  return {
    address,
    get docker() {
      docker ??= createClient(address)
      return docker
    },
  }
}

export interface ConnectOptions {
  readonly address: EngineAddress
  /** What named the address, quoted in errors. */
  readonly source?: string
  /** Longest wait for the engine's first answer, in milliseconds. @default 15_000. @throws EngineUnreachableError */
  readonly connectTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly log?: Logger
}

/** The API of 20.10, the first engine whose BuildKit can do what our images need. */
const OLDEST_API_VERSION = '1.41'
const OLDEST_ENGINE = '20.10'
/** What an engine says of the driver of containerd's image store. */
const SNAPSHOTTER = 'io.containerd.snapshotter.v1'

/**
 * Asks the engine who it is, and refuses one that cannot do.
 * @throws EngineUnreachableError, EngineNotPermittedError, EngineTooOldError, EngineUnsupportedError
 */
export async function connectEngine(options: ConnectOptions): Promise<Engine> {
  const { address, source, connectTimeoutMs = 15_000, signal, log = silentLogger } = options
  const where = source === undefined ? formatAddress(address) : `${formatAddress(address)} (from ${source})`
  using deadline = startDeadline({
    ms: connectTimeoutMs,
    signal,
    onPassed: () =>
      new EngineUnreachableError({
        what: `the Docker engine at ${where} did not answer within ${connectTimeoutMs / 1000} s`,
        remedy: 'see whether `docker info` answers, and restart the engine if it does not',
      }),
  })

  // Not /version as well: for either, dockerd starts runc and docker-init to ask them theirs.
  const { document: info, headers } = await ask()
  const apiVersion = headers['api-version']
  if (typeof apiVersion !== 'string')
    throw describeConnectFailure(address, where, 'it does not answer as an engine does')
  refuseOld(info.ServerVersion, apiVersion, where)
  const arch = architectureOfEngine(info, where)

  const rootless = (info.SecurityOptions ?? []).some((option) => option.includes('name=rootless'))
  const sameMachine = isOnThisMachine(address) && info.Name === hostname() && info.KernelVersion === release()
  // Not spread: its dockerode would be made.
  const client = engineClient(address)
  const engine: Engine = {
    get docker() {
      return client.docker
    },
    address,
    version: info.ServerVersion,
    apiVersion,
    arch,
    id: info.ID,
    kernelVersion: info.KernelVersion,
    cgroupVersion: info.CgroupVersion === '2' ? 2 : 1,
    cpuCount: info.NCPU,
    memoryMib: Math.floor(info.MemTotal / 2 ** 20),
    rootless,
    imageStore: (info.DriverStatus ?? []).flat().some((word) => word === SNAPSHOTTER) ? 'containerd' : 'graphdriver',
    storageDriver: info.Driver,
    rootDirectory: info.DockerRootDir,
    registries: registriesOf(info),
    locality: sameMachine && !rootless ? 'local' : 'remote',
  }
  log.debug(`Docker engine ${engine.version} (API ${apiVersion}) at ${where}, ${engine.locality}`)
  return engine

  async function ask() {
    try {
      return await requestDocument<EngineInfo>(address, { path: '/info', signal: deadline.signal })
    } catch (cause) {
      deadline.signal.throwIfAborted()
      throw describeConnectFailure(address, where, cause)
    }
  }
}

/** Whether it may be: machines of one image have the same name and kernel. */
function isOnThisMachine(address: EngineAddress): boolean {
  return address.kind === 'unix' || (address.kind === 'tcp' && /^(localhost|127\..*|::1)$/.test(address.host))
}

interface EngineInfo {
  readonly ID: string
  readonly Name: string
  readonly ServerVersion: string
  readonly OSType: string
  /** As `uname -m` says it. */
  readonly Architecture: string
  readonly KernelVersion: string
  readonly CgroupVersion?: string
  readonly NCPU: number
  readonly MemTotal: number
  readonly Driver: string
  readonly DockerRootDir: string
  readonly DriverStatus?: readonly (readonly string[])[] | null
  readonly SecurityOptions?: readonly string[] | null
  readonly HttpProxy?: string
  readonly HttpsProxy?: string
  readonly NoProxy?: string
  readonly RegistryConfig?: {
    readonly Mirrors?: readonly string[] | null
    readonly InsecureRegistryCIDRs?: readonly string[] | null
    readonly IndexConfigs?: Readonly<Record<string, { readonly Secure?: boolean }>> | null
  } | null
}

const LOOPBACK_NETWORKS = ['127.0.0.0/8', '::1/128']

function registriesOf({ RegistryConfig, HttpProxy, HttpsProxy, NoProxy }: EngineInfo): EngineRegistries {
  const { Mirrors, InsecureRegistryCIDRs, IndexConfigs } = RegistryConfig ?? {}
  const networks = (InsecureRegistryCIDRs ?? []).filter((network) => !LOOPBACK_NETWORKS.includes(network))
  const named = Object.entries(IndexConfigs ?? {}).flatMap(([name, { Secure }]) => (Secure === false ? [name] : []))
  return {
    mirrors: Mirrors ?? [],
    insecure: [...named, ...networks],
    proxies: { http: HttpProxy || undefined, https: HttpsProxy || undefined, no: NoProxy || undefined },
  }
}

function refuseOld(version: string, apiVersion: string, where: string): void {
  const [major = 0, minor = 0] = apiVersion.split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_API_VERSION.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return
  throw new EngineTooOldError({
    what: `the Docker engine at ${where} is version ${version} with API ${apiVersion}; ${OLDEST_ENGINE} with API ${OLDEST_API_VERSION} is the oldest that will do`,
    remedy: `update the engine to ${OLDEST_ENGINE} or later`,
  })
}

function architectureOfEngine({ OSType: system, Architecture: machine }: EngineInfo, where: string): Architecture {
  const arch = architectureOf(machine)
  if (system === 'linux' && arch !== undefined) return arch
  const known = architectures.map(({ name }) => `linux/${name}`).join(' and ')
  throw new EngineUnsupportedError({
    what: `the Docker engine at ${where} runs ${system}/${machine}; the images of testkernels are for ${known}`,
    remedy: `point DOCKER_HOST or DOCKER_CONTEXT at an engine on ${known}`,
  })
}

/** The error for an engine that gave no answer: what is wrong with that address, and what helps there. */
function describeConnectFailure(address: EngineAddress, where: string, cause: unknown): TestkernelsError {
  const code = errorCodeOf(cause)
  if (code === 'EACCES' || code === 'EPERM') {
    return new EngineNotPermittedError({
      what: `this user may not open the Docker engine's socket at ${where}`,
      remedy: 'add the user to the group docker (`sudo usermod -aG docker $USER`, then log in again), or run as root',
      cause,
    })
  }
  if (statusOf(cause) !== undefined) {
    return new EngineUnreachableError({
      what: `what answers at ${where} is not a Docker engine, or one that is not well`,
      remedy: 'see whether `docker info` answers, and check DOCKER_HOST',
      cause,
    })
  }
  return new EngineUnreachableError({
    what: `no Docker engine answers at ${where}`,
    remedy: remedyFor(address, code),
    cause,
  })
}

function remedyFor(address: EngineAddress, code: string | undefined): string {
  if (address.kind === 'ssh') {
    if (code === 'ENOENT') return 'install an SSH client (Debian and Ubuntu: `sudo apt-get install openssh-client`)'
    return `see that \`ssh ${address.host} docker version\` asks nothing and answers: its key in your agent, the host in known_hosts, docker in the PATH there`
  }
  if (address.kind === 'tcp') {
    const tls =
      address.tls === undefined ? 'whether it wants TLS (DOCKER_TLS_VERIFY)' : 'the certificates in DOCKER_CERT_PATH'
    return `check that the engine runs, that its host and port are right (DOCKER_HOST or the Docker context), and ${tls}`
  }
  const start = 'start it (`sudo systemctl start docker`, or `sudo dockerd`)'
  if (code === 'ECONNREFUSED') return `the socket is there but nobody listens: ${start}`
  return `install Docker (Debian and Ubuntu: \`sudo apt-get install docker.io\`) and ${start}, or set DOCKER_HOST`
}
