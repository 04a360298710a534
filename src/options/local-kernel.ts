import { existsSync, realpathSync, statSync } from 'node:fs'
import { release as runningRelease } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { architectures, type IdentifiedKernel, identifyKernel } from '../arch/index.ts'
import { InvalidOptionError, UnknownKernelError } from './errors.ts'

/** A kernel's files on this machine; all paths are absolute and no links. */
export interface LocalKernel {
  readonly kind: 'local'
  /** The name of the architecture that it runs on; not known of one that is compressed, until it is unpacked. */
  readonly arch?: string
  /** What `uname -r` will say. */
  readonly release: string
  readonly vmlinuz: string
  /** The directory of this release's modules. */
  readonly modules?: string
  readonly config?: string
  readonly systemMap?: string
  readonly initrd?: string
}

/** A kernel of this machine with more to say than the path of its vmlinuz. */
export interface LocalKernelOptions {
  readonly vmlinuz: string
  /** Directory of its modules, such as `/path/lib/modules/6.1.0`. @default looked for beside vmlinuz */
  readonly modules?: string
  /** Its config, which tells what it can do. @default looked for beside vmlinuz */
  readonly config?: string
  /** @default looked for beside vmlinuz */
  readonly systemMap?: string
  /** Unpacked before our own initrd: ACPI tables, firmware, module options. Its init is not run. @default none */
  readonly initrd?: string
}

export const localKernelOptions = v.strictObject({
  vmlinuz: v.string(),
  modules: v.optional(v.string()),
  config: v.optional(v.string()),
  systemMap: v.optional(v.string()),
  initrd: v.optional(v.string()),
})

/** Reads `file:///PATH`. @throws InvalidOptionError */
export function parseFileUrl(url: string, entry?: string): LocalKernelOptions {
  try {
    return { vmlinuz: fileURLToPath(url) }
  } catch {
    throw new InvalidOptionError({
      what: `'${url}' is no path of a kernel`,
      entry,
      remedy: 'write it as file:///path/vmlinuz, with three slashes',
    })
  }
}

/**
 * Paths are taken from the working directory.
 * @throws InvalidOptionError for a path where nothing is, or a file that is no kernel
 */
export function parseLocalKernel(options: LocalKernelOptions, entry?: string): LocalKernel {
  const invalid = (what: string, remedy: string, cause?: unknown) =>
    new InvalidOptionError({ what, remedy, entry, cause })
  const file = (path: string, what: string) => {
    const absolute = resolve(path)
    if (isFile(absolute)) return realpathSync(absolute)
    const is = isDirectory(absolute) ? 'is a directory' : 'is not there'
    throw invalid(`${what} ${absolute} ${is}`, 'correct the path')
  }
  const vmlinuz = file(options.vmlinuz, 'the kernel')
  const { arch, release } = compressed(options.vmlinuz) ?? identified(vmlinuz, invalid)
  // Beside the path that was given: a link may lead to where nothing else is.
  const found = besideKernel(resolve(options.vmlinuz), release)
  const { config, systemMap, initrd, modules } = options
  return {
    kind: 'local',
    ...(arch !== undefined && { arch: arch.name }),
    release,
    vmlinuz,
    ...found,
    ...(config !== undefined && { config: file(config, "the kernel's config") }),
    ...(systemMap !== undefined && { systemMap: file(systemMap, "the kernel's System.map") }),
    ...(initrd !== undefined && { initrd: file(initrd, 'the initrd') }),
    ...(modules !== undefined && { modules: modulesIn(modules, release, invalid) }),
  }
}

/** As packages call a vmlinux that they have compressed. Its name is believed until it is unpacked (images/kernel/find-kernel.sh). */
const COMPRESSED = /^vmlinux-(\d+\.\d+[\w.+~-]*)\.(?:gz|xz|zst|lz4|bz2|lzma)$/

function compressed(vmlinux: string): (Partial<IdentifiedKernel> & Pick<IdentifiedKernel, 'release'>) | undefined {
  const [, release] = COMPRESSED.exec(basename(vmlinux)) ?? []
  return release === undefined ? undefined : { release }
}

type Invalid = (what: string, remedy: string, cause?: unknown) => InvalidOptionError

function identified(vmlinuz: string, invalid: Invalid): IdentifiedKernel {
  let kernel: IdentifiedKernel | undefined
  try {
    kernel = identifyKernel(vmlinuz)
  } catch (cause) {
    throw invalid(`cannot read the kernel ${vmlinuz}`, `make it readable: sudo chmod a+r ${vmlinuz}`, cause)
  }
  if (kernel !== undefined) return kernel
  const images = architectures.map(({ name, kernel: { image } }) => `${image} or vmlinux of ${name}`).join(', ')
  throw invalid(
    `${vmlinuz} is no Linux kernel that can be booted (${images})`,
    'name its vmlinuz, or its vmlinux, as `make` leaves it; what is compressed needs a name such as vmlinux-6.1.0.xz',
  )
}

/** The directory itself, or the one of this release in it. */
function modulesIn(path: string, release: string, invalid: Invalid): string {
  const absolute = resolve(path)
  const within = resolve(absolute, release)
  const directory = [within, absolute].find(isDirectory)
  if (directory !== undefined) return realpathSync(directory)
  throw invalid(`the kernel's modules ${absolute} are not there`, 'name a directory such as /lib/modules/VERSION')
}

/** What else there is of a kernel. */
export interface KernelFiles {
  readonly modules?: string
  readonly config?: string
  readonly systemMap?: string
}

/** Looks where packages and `make install` put what belongs to a kernel, seen from where its vmlinuz is. */
export function besideKernel(vmlinuz: string, release: string): KernelFiles {
  const directory = dirname(vmlinuz)
  const roots = basename(directory) === 'boot' ? [directory, dirname(directory)] : [directory]
  const modules = [
    join(directory, 'modules', release),
    join(directory, 'modules'),
    ...roots.flatMap((root) => [join(root, 'lib/modules', release), join(root, 'usr/lib/modules', release)]),
    // Distributions that keep all of a kernel beside its modules.
    directory,
  ].find(hasModules)
  const file = (name: string) => [join(directory, `${name}-${release}`), join(directory, name)].find(isFile)
  const config = file('config')
  const systemMap = file('System.map')
  return {
    ...(modules !== undefined && { modules: realpathSync(modules) }),
    ...(config !== undefined && { config: realpathSync(config) }),
    ...(systemMap !== undefined && { systemMap: realpathSync(systemMap) }),
  }
}

/** As `make modules_install` leaves it. */
function hasModules(directory: string): boolean {
  return isFile(join(directory, 'modules.order')) || isFile(join(directory, 'modules.dep'))
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile()
}

export function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory()
}

export interface HostKernelOptions {
  /** Where its files are looked for. @default '/' */
  readonly root?: string
  /** @default that of the running kernel */
  readonly release?: string
}

/**
 * `host`: the kernel that this machine runs.
 * @throws UnknownKernelError where its files are not on the disk; InvalidOptionError where they cannot be read
 */
export function findHostKernel(entry?: string, options: HostKernelOptions = {}): LocalKernel {
  const { root = '/', release = runningRelease() } = options
  const candidates = [
    join(root, 'boot', `vmlinuz-${release}`),
    join(root, 'usr/lib/modules', release, 'vmlinuz'),
    join(root, 'lib/modules', release, 'vmlinuz'),
  ]
  const vmlinuz = candidates.find(isFile)
  if (vmlinuz !== undefined) return parseLocalKernel({ vmlinuz }, entry)
  throw new UnknownKernelError({
    what: `the kernel that this machine runs, ${release}, is not on its disk: there is neither ${candidates.join(' nor ')}`,
    entry,
    remedy: 'name where its files are: file:///path/vmlinuz; or take another kernel, such as debian:trixie',
  })
}
