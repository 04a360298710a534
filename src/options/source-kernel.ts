import { existsSync, statSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import * as v from 'valibot'
import { InvalidOptionError, UnknownKernelError } from './errors.ts'

/** A kernel that is built from its source. */
export interface SourceKernel {
  readonly kind: 'source'
  readonly origin: SourceOrigin
  /** Merged in this order, on top of the base configuration. */
  readonly config: readonly ConfigFragment[]
  /** The suite of Debian whose compiler builds it. @default the one of all build steps */
  readonly compilerSuite?: string
}

export type SourceOrigin =
  /** A release of kernel.org's: `6.12.10`, `6.12`, `6.13-rc1`. */
  | { readonly kind: 'version'; readonly version: string; readonly sha256?: string }
  /** What Debian builds its kernel of that suite from. */
  | { readonly kind: 'debian'; readonly suite: string }
  | { readonly kind: 'tarball'; readonly path: string; readonly sha256?: string }
  | { readonly kind: 'tree'; readonly path: string }

/** A piece of a kernel's configuration: one of ours, or a file of the user's. */
export type ConfigFragment =
  | { readonly kind: 'ready'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }

/** A kernel from source with more to say than where it comes from. */
export interface SourceKernelOptions {
  /** `debian/SUITE`, or the path of a tarball or a tree. Give either this or `version`. */
  readonly source?: string
  /** A release of kernel.org's, such as `6.12.10` or `6.13-rc1`. */
  readonly version?: string
  /** sha256 of the tarball. @default for a version what kernel.org publishes; a tarball of yours is not checked */
  readonly sha256?: string
  /** Ready-made fragments (`cgroup-v1`, `kasan`, `debug`, `debug-info`, `kmemleak`, `btf`) and paths of your own, a later one before an earlier one. */
  readonly config?: readonly string[]
  /**
   * `debian/SUITE`, whose gcc and binutils build it: kernels do not compile with those of many years later.
   * bullseye has gcc 10, bookworm 12, trixie 14. @default debian/trixie
   */
  readonly compiler?: string
}

/** In images/kernel/fragments. */
export const readyFragments = ['cgroup-v1', 'kasan', 'debug', 'debug-info', 'kmemleak', 'btf'] as const

export const sourceKernelOptions = v.strictObject({
  source: v.optional(v.string()),
  version: v.optional(v.string()),
  sha256: v.optional(v.string()),
  config: v.optional(v.array(v.string())),
  compiler: v.optional(v.string()),
})

const VERSION = /^[1-9]\d*\.\d+(?:\.\d+|-rc[1-9]\d*)?$/
const SHA256 = /^[0-9a-f]{64}$/i

const TEXT = /^(version|source):(.+?)(?:#((?:sha256|compiler)=[^,]*(?:,(?:sha256|compiler)=[^,]*)*))?$/

/**
 * Reads `version:X.Y.Z` and `source:...`, each also with `#sha256=HEX`, `#compiler=debian/SUITE` or both, with a comma between.
 * @returns undefined for what is neither
 */
export function sourceKernelText(text: string): SourceKernelOptions | undefined {
  const [, scheme, rest = '', more] = TEXT.exec(text) ?? []
  if (scheme !== 'version' && scheme !== 'source') return undefined
  const pairs = more?.split(',').map((pair) => pair.split('=')) ?? []
  return { [scheme]: rest, ...Object.fromEntries(pairs) }
}

/**
 * A reference with configuration fragments, as the command line has them apart.
 * @throws InvalidOptionError where the kernel is not built from source
 */
export function withConfig(kernel: string, config: readonly string[]): string | SourceKernelOptions {
  if (config.length === 0) return kernel
  const options = sourceKernelText(kernel)
  if (options !== undefined) return { ...options, config }
  throw new InvalidOptionError({
    what: `'${kernel}' takes no config fragments: it is not built from source`,
    remedy: 'name a kernel with source: or version:, such as source:debian/trixie',
  })
}

/**
 * Paths are taken from the working directory.
 * @throws UnknownKernelError; InvalidOptionError for a path where nothing is, or a checksum or fragment that is none
 */
export function parseSourceKernel(
  options: SourceKernelOptions,
  suites: readonly string[],
  entry?: string,
): SourceKernel {
  const { source, version, sha256, config = [], compiler } = options
  if ((source === undefined) === (version === undefined))
    throw invalid("a kernel from source has either 'source' or 'version'", 'give one of them', entry)
  if (sha256 !== undefined && !SHA256.test(sha256))
    throw invalid(`'${sha256}' is not a sha256`, 'give 64 hexadecimal digits', entry)
  const checksum = sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }
  const origin =
    version === undefined
      ? sourceOrigin(source ?? '', checksum, suites, entry)
      : versionOrigin(version, checksum, entry)
  if (sha256 !== undefined && !('sha256' in origin))
    throw invalid(`a sha256 is of a tarball, and '${source}' is none`, "leave out 'sha256'", entry)
  return {
    kind: 'source',
    origin,
    config: config.map((name) => fragment(name, entry)),
    ...(compiler !== undefined && { compilerSuite: compilerSuite(compiler, suites, entry) }),
  }
}

function compilerSuite(compiler: string, suites: readonly string[], entry?: string): string {
  const suite = suites.find((name) => compiler === `debian/${name}`)
  if (suite !== undefined) return suite
  const known = suites.map((name) => `debian/${name}`).join(', ')
  throw invalid(`there is no compiler of '${compiler}'`, `name one of ${known}`, entry)
}

interface Checksum {
  readonly sha256?: string
}

function versionOrigin(version: string, checksum: Checksum, entry: string | undefined): SourceOrigin {
  if (VERSION.test(version)) return { kind: 'version', version, ...checksum }
  throw new UnknownKernelError({
    what: `'${version}' is no version of the kernel`,
    entry,
    remedy: 'write it as 6.12.10, 6.12 or 6.13-rc1',
  })
}

function sourceOrigin(source: string, checksum: Checksum, suites: readonly string[], entry?: string): SourceOrigin {
  const suite = /^debian\/(.+)$/.exec(source)?.[1]
  if (suite !== undefined && suites.some((name) => suite === name || suite === `${name}-backports`))
    return { kind: 'debian', suite }
  if (!/^\.{0,2}\//.test(source)) {
    throw new UnknownKernelError({
      what: `unknown kernel source '${source}'`,
      entry,
      remedy: `name one of ${suites.map((name) => `debian/${name}`).join(', ')}, or a path such as ./linux-6.12.tar.xz`,
    })
  }
  const path = existing(source, 'the kernel source', entry)
  return statSync(path).isDirectory() ? { kind: 'tree', path } : { kind: 'tarball', path, ...checksum }
}

function fragment(name: string, entry: string | undefined): ConfigFragment {
  if (readyFragments.some((ready) => ready === name)) return { kind: 'ready', name }
  if (!name.includes('/') && !basename(name).includes('.')) {
    throw invalid(
      `unknown config fragment '${name}'`,
      `name one of ${readyFragments.join(', ')}, or a path such as ./${name}.config`,
      entry,
    )
  }
  return { kind: 'file', path: existing(name, 'the config fragment', entry) }
}

function existing(path: string, what: string, entry: string | undefined): string {
  const absolute = resolve(path)
  if (existsSync(absolute)) return absolute
  throw invalid(`${what} ${absolute} is not there`, 'correct the path', entry)
}

function invalid(what: string, remedy: string, entry: string | undefined): InvalidOptionError {
  return new InvalidOptionError({ what, remedy, entry })
}
