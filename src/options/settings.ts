import { lstatSync, mkdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { type CacheReference, parseCacheReference } from './cache-reference.ts'
import { InvalidOptionError } from './errors.ts'

/** What the environment says, read once: nothing else reads `process.env`, but src/worker where tests run. */
export interface Settings {
  /** `TESTKERNELS_DEBUG=1`: debug lines are shown. */
  readonly debug: boolean
  /** `BUILDKIT_PROGRESS`: how builds are shown where no option says. Default: `auto`, live on a terminal and else in lines */
  readonly progress: ProgressKind
  /** `BUILDKIT_HOST`: a buildkitd that images are built with, in place of the engine's BuildKit. Default: none */
  readonly buildkitHost: string | undefined
  /** `TESTKERNELS_BUILDKIT_TLS_DIR`: `ca.pem`, `cert.pem` and `key.pem` for it, as `buildctl --tlsdir` has them. Default: none */
  readonly buildkitTlsDirectory: string | undefined
  /** `TESTKERNELS_CACHE_FROM`, `TESTKERNELS_CACHE_TO`: build caches to read and write, separated by blanks. Default: none */
  readonly cacheFrom: readonly CacheReference[]
  readonly cacheTo: readonly CacheReference[]
  /** `TESTKERNELS_DEBIAN_MIRROR`: the Debian archive to build from. Default: that of the machine's apt configuration. */
  readonly debianMirror: string | undefined
  /** `TESTKERNELS_DEBIAN_SECURITY_MIRROR`: its archive of security updates. Default: that of apt, or the one beside the archive. */
  readonly debianSecurityMirror: string | undefined
  /** `TESTKERNELS_DEBIAN_SNAPSHOTS`: Debian's archive of snapshots, for kernels that the archive has no more. Default: none is asked */
  readonly debianSnapshots: string | undefined
  /** `TESTKERNELS_KERNEL_MIRROR`: where `version:` takes sources from, laid out like kernel.org's pub/linux/kernel. */
  readonly kernelMirror: string | undefined
  /** `HOME`, else what the system says; undefined for a user who has none, such as a number that a container is run with. */
  readonly homeDirectory: string | undefined
  /**
   * `TESTKERNELS_CACHE_DIR`: what is remembered between runs. Default: `$XDG_CACHE_HOME/testkernels`, `~/.cache/testkernels`; without a
   * home, a private one in the temporary directory
   */
  readonly cacheDirectory: string
  /** `TESTKERNELS_RUN_DIR`: sockets, short-lived and private. Default: `$XDG_RUNTIME_DIR` or the temporary directory */
  readonly runtimeDirectory: string
  /** `TESTKERNELS_TEMPLATE_VOLUME`: the engine's volume with the saved VMs. Default: `testkernels-templates` */
  readonly templateVolume: string
  /** `TESTKERNELS_TEMPLATES_MIB`: what they may take together on the disk, in MiB. Default: 20480 */
  readonly templatesMib: number
  /**
   * `TESTKERNELS_KVM_PROBE_TIMEOUT_MS`: longest wait for the guest that tells whether KVM works, in milliseconds. Default: 10000. KVM
   * inside an emulated machine needs more.
   */
  readonly kvmProbeTimeoutMs: number
  /**
   * `TESTKERNELS_PORTS`: how ports that containers publish are reached. Default: `auto`, at the address of the VM's container where this
   * machine reaches it, else forwarded to an address of this machine's loopback that is the VM's own; `forwarded` always does that, and
   * `localhost` does it to 127.0.0.1, which all VMs share
   */
  readonly ports: (typeof portsKinds)[number]
  /** `DOCKER_CONFIG`: where the credentials of `docker login` are. Default: `~/.docker` */
  readonly dockerConfigDirectory: string
  /** The environment itself, for those who follow other programs' variables (DOCKER_HOST, DOCKER_CONFIG). */
  readonly environment: Environment
}

/** As `docker buildx build` has them. */
export const progressKinds = ['auto', 'tty', 'plain', 'rawjson', 'quiet'] as const
export type ProgressKind = (typeof progressKinds)[number]

const portsKinds = ['auto', 'forwarded', 'localhost'] as const

/** @throws InvalidOptionError for a value that cannot be, such as a directory that is not absolute */
export function readSettings(environment: Environment = process.env): Settings {
  const absolute = (name: string, fallback: () => string): string => {
    const value = environment[name]
    if (!value) return fallback()
    if (isAbsolute(value)) return value
    throw new InvalidOptionError({
      what: `${name} must be an absolute path, got '${value}'`,
      remedy: `set ${name} to a full path`,
    })
  }
  const debug = environment['TESTKERNELS_DEBUG'] ?? ''
  return Object.freeze({
    debug: debug !== '' && debug !== '0',
    progress: oneOf(environment, 'BUILDKIT_PROGRESS', progressKinds),
    buildkitHost: environment['BUILDKIT_HOST'] || undefined,
    buildkitTlsDirectory: environment['TESTKERNELS_BUILDKIT_TLS_DIR'] || undefined,
    cacheFrom: caches(environment, 'TESTKERNELS_CACHE_FROM', 'from'),
    cacheTo: caches(environment, 'TESTKERNELS_CACHE_TO', 'to'),
    debianMirror: environment['TESTKERNELS_DEBIAN_MIRROR'] || undefined,
    debianSecurityMirror: environment['TESTKERNELS_DEBIAN_SECURITY_MIRROR'] || undefined,
    debianSnapshots: httpUrl(environment, 'TESTKERNELS_DEBIAN_SNAPSHOTS'),
    kernelMirror: httpUrl(environment, 'TESTKERNELS_KERNEL_MIRROR'),
    homeDirectory: homeDirectory(environment),
    cacheDirectory: absolute('TESTKERNELS_CACHE_DIR', () => defaultCache(environment)),
    runtimeDirectory: absolute('TESTKERNELS_RUN_DIR', () => environment['XDG_RUNTIME_DIR'] || tmpdir()),
    templateVolume: environment['TESTKERNELS_TEMPLATE_VOLUME'] || 'testkernels-templates',
    templatesMib: wholeNumber(environment, 'TESTKERNELS_TEMPLATES_MIB', 20_480),
    kvmProbeTimeoutMs: wholeNumber(environment, 'TESTKERNELS_KVM_PROBE_TIMEOUT_MS', 10_000),
    ports: oneOf(environment, 'TESTKERNELS_PORTS', portsKinds),
    dockerConfigDirectory: dockerConfigDirectory(environment),
    environment: Object.freeze({ ...environment }),
  })
}

type Environment = Readonly<Record<string, string | undefined>>

/** The user's home, as `Settings.homeDirectory` has it. */
export function homeDirectory(environment: Environment): string | undefined {
  if (environment['HOME']) return environment['HOME']
  try {
    return userInfo().homedir
  } catch {
    return undefined
  }
}

/** Where docker's config.json is; without a home where a home of `/` has it, which is what engines give such users. */
export function dockerConfigDirectory(environment: Environment): string {
  return environment['DOCKER_CONFIG'] || join(homeDirectory(environment) ?? '/', '.docker')
}

function defaultCache(environment: Environment): string {
  if (environment['XDG_CACHE_HOME']) return join(environment['XDG_CACHE_HOME'], 'testkernels')
  const home = homeDirectory(environment)
  return home === undefined || home === '/' ? temporaryCache() : join(home, '.cache/testkernels')
}

/** Made at once, and looked at: who makes such a directory before us must not choose what we remember. */
function temporaryCache(): string {
  const uid = process.getuid?.() ?? 0
  const path = join(tmpdir(), `testkernels-cache-${uid}`)
  const unusable = (why: string, cause?: unknown) =>
    new InvalidOptionError({
      what: `this user has no home, and the directory ${path} for what is remembered between runs ${why}`,
      remedy: 'set TESTKERNELS_CACHE_DIR to a directory of this user, or HOME',
      cause,
    })
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw unusable('cannot be made', cause)
  }
  const found = lstatSync(path)
  if (!found.isDirectory() || found.uid !== uid || (found.mode & 0o022) !== 0)
    throw unusable('belongs to somebody else, or can be written by others')
  return path
}

function wholeNumber(environment: Environment, name: string, fallback: number): number {
  const value = environment[name]
  if (!value) return fallback
  if (/^\d+$/.test(value)) return Number(value)
  throw new InvalidOptionError({
    what: `${name} must be a whole number, got '${value}'`,
    remedy: `correct or unset ${name}`,
  })
}

/** Without slashes at its end. */
function httpUrl(environment: Environment, name: string): string | undefined {
  const value = environment[name]
  if (!value) return undefined
  if (/^https?:\/\/[^/]*@/.test(value)) {
    throw new InvalidOptionError({
      what: `${name} has a user or a password, which would be in the history of images`,
      remedy: 'give a mirror that needs none',
    })
  }
  if (/^https?:\/\/[^/]/.test(value)) return value.replace(/\/+$/, '')
  throw new InvalidOptionError({
    what: `${name} must be an http or https URL, got '${value}'`,
    remedy: `set ${name} to a URL such as https://mirror.example/pub/linux/kernel`,
  })
}

function oneOf<const T extends string>(environment: Environment, name: string, kinds: readonly [T, ...T[]]): T {
  const value = environment[name] || kinds[0]
  const kind = kinds.find((known) => known === value)
  if (kind !== undefined) return kind
  throw new InvalidOptionError({
    what: `${name} must be one of ${kinds.join(', ')}, got '${value}'`,
    remedy: `set ${name} to one of them, or unset it`,
  })
}

function caches(environment: Environment, name: string, direction: 'from' | 'to'): readonly CacheReference[] {
  const words = (environment[name] ?? '').split(/\s+/).filter((word) => word !== '')
  return words.map((word) => parseCacheReference(word, { name, direction, environment }))
}
