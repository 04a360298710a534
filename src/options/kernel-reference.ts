import { basename, dirname, resolve } from 'node:path'
import { UnknownKernelError } from './errors.ts'
import { type DockerfileOptions, type DockerfileReference, parseDockerfile } from './guest-images.ts'
import {
  findHostKernel,
  type LocalKernel,
  type LocalKernelOptions,
  parseFileUrl,
  parseLocalKernel,
} from './local-kernel.ts'
import {
  parseSourceKernel,
  type SourceKernel,
  type SourceKernelOptions,
  type SourceOrigin,
  sourceKernelText,
} from './source-kernel.ts'

/** Where a kernel comes from. Each kind has a file of its own beside this one. */
export type KernelReference = DebianKernel | ImageKernel | DockerfileReference | LocalKernel | SourceKernel

/** `docker-image://REF[#VERSION]`: an image with a kernel in it, under `/boot`, `/usr/lib/modules` or `/data/kernels/VERSION`. */
export interface ImageKernel {
  readonly kind: 'image'
  readonly ref: string
  /** Which of several: what `uname -r` says, or how that begins. @default the newest */
  readonly version?: string
}

/** A kernel, as a user writes it. */
export type KernelSpec = string | LocalKernelOptions | SourceKernelOptions | DockerfileOptions

const PURPOSE = 'the kernel'

/**
 * Reads the reference of a kernel.
 * @throws UnknownKernelError; InvalidOptionError
 */
export function parseKernelReference(kernel: KernelSpec, entry?: string): KernelReference {
  if (typeof kernel !== 'string') {
    if ('dockerfile' in kernel) return parseDockerfile(kernel, { purpose: PURPOSE, entry })
    return 'vmlinuz' in kernel ? parseLocalKernel(kernel, entry) : parseSourceKernel(kernel, debianSuites, entry)
  }
  const [, scheme, rest = ''] = /^(host$|debian:|docker-image:\/\/|dockerfile:|file:)(.*)$/.exec(kernel) ?? []
  switch (scheme) {
    case 'host':
      return findHostKernel(entry)
    case 'debian:':
      return parseDebianKernel(rest, entry)
    case 'file:':
      return parseLocalKernel(parseFileUrl(kernel, entry), entry)
    case 'docker-image://':
      return parseImageKernel(rest, entry)
    case 'dockerfile:':
      if (rest !== '') return parseDockerfile({ dockerfile: rest }, { purpose: PURPOSE, entry })
  }
  const source = sourceKernelText(kernel)
  if (source !== undefined) return parseSourceKernel(source, debianSuites, entry)
  throw new UnknownKernelError({
    what: `unknown kernel '${kernel}'`,
    entry,
    remedy:
      'name one as debian:SUITE, version:X.Y.Z, source:debian/SUITE, source:PATH, docker-image://REF, dockerfile:PATH, file:///path/vmlinuz or host',
  })
}

const IMAGE = /^([^#\s]+)(?:#([\w.+~-]+))?$/

/** Reads `REF` or `REF#VERSION`. @throws UnknownKernelError */
function parseImageKernel(text: string, entry?: string): ImageKernel {
  const [, ref, version] = IMAGE.exec(text) ?? []
  if (ref !== undefined) return { kind: 'image', ref, ...(version !== undefined && { version }) }
  throw new UnknownKernelError({
    what: `unknown kernel 'docker-image://${text}'`,
    entry,
    remedy:
      'name it as docker-image://REF; of an image with several kernels one as docker-image://REF#VERSION, such as #6.1',
  })
}

/** `debian:SUITE[/FLAVOUR][@VERSION]`: the kernel that Debian ships, or shipped. */
export interface DebianKernel {
  readonly kind: 'debian'
  /** A suite of the Debian archive, such as `bookworm` or `trixie-backports`. */
  readonly suite: string
  /** What follows `linux-image-` in the meta package's name. @default the architecture's smallest */
  readonly flavour?: string
  /** Of the package, `6.1.187-1`, or how it begins; or a time, `20260301T000000Z`, in Debian's archive of snapshots. @default the newest */
  readonly version?: string
}

/** The suites that `debian:` takes: those whose kernels the machine that boots them was tested with. */
export const debianSuites = ['bullseye', 'bookworm', 'trixie', 'sid'] as const

const SUITE = /^([a-z]+(?:-backports)?)(?:\/([a-z0-9-]+))?(?:@(\d[\w.+~-]*))?$/

/**
 * Reads `SUITE`, `SUITE/FLAVOUR`, `SUITE@VERSION` or all three.
 * @throws UnknownKernelError
 */
export function parseDebianKernel(text: string, entry?: string): DebianKernel {
  const [, suite, flavour, version] = SUITE.exec(text) ?? []
  if (suite !== undefined && debianSuites.some((name) => name === suite || `${name}-backports` === suite))
    return {
      kind: 'debian',
      suite,
      ...(flavour !== undefined && { flavour }),
      ...(version !== undefined && { version }),
    }
  throw new UnknownKernelError({
    what: `unknown kernel 'debian:${text}'`,
    entry,
    remedy: `name one of ${debianSuites.map((name) => `debian:${name}`).join(', ')}, each also as debian:SUITE-backports, debian:SUITE/FLAVOUR and debian:SUITE@VERSION`,
  })
}

/** A kernel in few words, for people: `bookworm`. It stands in the names of build steps and, simplified, in image tags. */
export function kernelLabel(reference: KernelReference): string {
  switch (reference.kind) {
    case 'debian':
      return debianLabel(reference)
    case 'image':
      return reference.version === undefined ? reference.ref : `${reference.ref}#${reference.version}`
    case 'dockerfile':
      return dockerfileLabel(reference.dockerfile)
    case 'local':
      return reference.release
    case 'source':
      return originLabel(reference.origin)
  }
}

/** `dnf` of `dnf.Dockerfile`; a file that is called as all are has the name of its directory. */
export function dockerfileLabel(path: string): string {
  const name = basename(path)
  return name === 'Dockerfile' ? basename(dirname(resolve(path))) : name.replace(/\.Dockerfile$/, '')
}

/** What follows `debian:` in a reference. */
export function debianLabel({ suite, flavour, version }: Omit<DebianKernel, 'kind'>): string {
  return `${suite}${flavour === undefined ? '' : `/${flavour}`}${version === undefined ? '' : `@${version}`}`
}

function originLabel(origin: SourceOrigin): string {
  switch (origin.kind) {
    case 'version':
      return origin.version
    case 'debian':
      return `debian/${origin.suite}`
    case 'tarball':
    case 'tree':
      return basename(origin.path)
  }
}

/** A kernel as the user named it: `source:debian/trixie with cgroup-v1, my.config`. */
export function kernelText(kernel: KernelSpec): string {
  if (typeof kernel === 'string') return kernel
  if ('vmlinuz' in kernel) return kernel.vmlinuz
  if ('dockerfile' in kernel) {
    const { dockerfile, target, buildArgs = {} } = kernel
    const chosen = [
      ...(target === undefined ? [] : [target]),
      ...Object.entries(buildArgs).map((pair) => pair.join('=')),
    ]
    return withParts(`dockerfile:${dockerfile}`, chosen)
  }
  const { source, version, config = [], compiler } = kernel
  const chosen = [...config, ...(compiler === undefined ? [] : [`the compiler of ${compiler}`])]
  return withParts(version === undefined ? `source:${source}` : `version:${version}`, chosen)
}

function withParts(reference: string, parts: readonly string[]): string {
  return parts.length === 0 ? reference : `${reference} with ${parts.join(', ')}`
}
