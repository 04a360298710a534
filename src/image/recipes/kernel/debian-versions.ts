import * as v from 'valibot'
import { type DebianKernel, debianLabel, UnknownKernelError } from '../../../options/index.ts'
import type { BuildContext } from '../../request.ts'
import { fetchText, KernelSourceUnavailableError } from './kernel-org.ts'

/** A kernel in a Debian archive. */
export interface ArchivedKernel {
  /** The suite that lists it, or the part of one: `bookworm-security`. */
  readonly pocket: string
  /** URL of the archive. */
  readonly archive: string
  /** Of all its packages, such as `6.1.187-1`. */
  readonly version: string
  /** The first is linux-image. */
  readonly packages: readonly string[]
}

export interface KernelList {
  /** From the oldest version to the newest; each version once. */
  readonly kernels: readonly ArchivedKernel[]
  /** Pockets that could not be read. */
  readonly missing: readonly string[]
}

/** Less than, equal to or greater than 0, as dpkg orders versions: digits by their number, a tilde before the end of the text. */
export function compareVersions(one: string, other: string): number {
  const [parts, others] = [partsOf(one), partsOf(other)]
  for (let at = 0; at < Math.max(parts.length, others.length); at++) {
    const difference = (parts[at] ?? 0) - (others[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Upstream's version and Debian's revision, as numbers that compare. */
function partsOf(version: string): number[] {
  const [, upstream = '', revision = ''] = /^(.*?)(?:-([^-]*))?$/.exec(version) ?? []
  return [upstream, revision].flatMap((text) => [...weightsOf(text), 0])
}

function weightsOf(text: string): number[] {
  return [...text.matchAll(/(\d+)|(~)|([A-Za-z])|./g)].map(([symbol, digits, tilde, letter]) => {
    if (digits !== undefined) return Number(digits)
    if (tilde !== undefined) return -1
    return symbol.charCodeAt(0) + (letter === undefined ? 1_000 : 500)
  })
}

/** The newest that has this version, or whose version begins with it and goes on with another part: `6.1.18` is not 6.1.187-1. */
export function newestOf<Kernel extends { readonly version: string }>(
  version: string,
  kernels: readonly Kernel[],
): Kernel | undefined {
  return kernels.findLast(
    (kernel) => kernel.version.startsWith(version) && !/^[A-Za-z0-9]/.test(kernel.version.slice(version.length)),
  )
}

const TIME = /^\d{8}T\d{6}Z$/

/** Whether it is no version but a time, as the archive of snapshots writes it: `20260301T000000Z`. */
export function isTime(version: string): boolean {
  return TIME.test(version)
}

/** Where a kernel was first. */
export interface Sighting {
  readonly version: string
  readonly archive: 'main' | 'security'
  readonly time: string
}

/** The names of Debian's two archives there. */
const ARCHIVES = { debian: 'main', 'debian-security': 'security' } as const

const versionsAnswer = v.object({ result: v.array(v.object({ version: v.string() })) })
const packagesAnswer = v.object({ result: v.array(v.object({ name: v.string(), version: v.string() })) })
const filesAnswer = v.object({
  result: v.array(v.object({ architecture: v.string(), hash: v.string() })),
  fileinfo: v.record(v.string(), v.array(v.object({ archive_name: v.string(), first_seen: v.string() }))),
})

/**
 * Debian's archive of snapshots: all that its archives ever had, as they were at each time, for apt; and what it knows of a package, for
 * programs.
 */
export class Snapshots {
  readonly #address: string
  readonly #arch: string
  readonly #signal: AbortSignal

  constructor(address: string, { arch, signal }: { readonly arch: string; readonly signal: AbortSignal }) {
    this.#address = address
    this.#arch = arch
    this.#signal = signal
  }

  /** URLs of the archives as they were then. */
  archivesAt(time: string): { readonly main: string; readonly security: string } {
    return {
      main: `${this.#address}/archive/debian/${time}`,
      security: `${this.#address}/archive/debian-security/${time}`,
    }
  }

  /**
   * The newest kernel of this version, or whose version begins so.
   * @throws KernelSourceUnavailableError where it cannot be asked
   */
  async find(version: string, flavour: string): Promise<Sighting | undefined> {
    // Its kernels are signed by hand, in a package of their own, whose version has another sign where the revision begins.
    const source = `mr/package/linux-signed-${this.#arch}`
    const sources = await this.#ask(`${source}/`, versionsAnswer)
    const known = (sources?.result ?? [])
      .map((one) => ({ source: one.version, version: one.version.replace('+', '-') }))
      .toSorted((one, other) => compareVersions(one.version, other.version))
    const newest = newestOf(version, known)
    if (newest === undefined) return undefined
    const packages = await this.#ask(`${source}/${encodeURIComponent(newest.source)}/binpackages`, packagesAnswer)
    const image = packages?.result.find(({ name }) => isKernelOf(flavour, name))
    if (image === undefined) return undefined
    const files = await this.#ask(
      `mr/binary/${image.name}/${encodeURIComponent(image.version)}/binfiles?fileinfo=1`,
      filesAnswer,
    )
    const { hash = '' } = files?.result.find(({ architecture }) => architecture === this.#arch) ?? {}
    for (const { archive_name, first_seen } of files?.fileinfo[hash] ?? []) {
      const archive = Object.entries(ARCHIVES).find(([name]) => name === archive_name)?.[1]
      if (archive !== undefined) return { version: image.version, archive, time: first_seen }
    }
    return undefined
  }

  /** Undefined where it has nothing of that name. */
  async #ask<Answer>(path: string, schema: v.GenericSchema<unknown, Answer>): Promise<Answer | undefined> {
    const url = `${this.#address}/${path}`
    try {
      const text = await fetchText(url, this.#signal)
      return text === undefined ? undefined : v.parse(schema, JSON.parse(text))
    } catch (cause) {
      this.#signal.throwIfAborted()
      throw new KernelSourceUnavailableError({
        what: `cannot ask Debian's archive of snapshots: ${url}`,
        cause,
        remedy: 'set TESTKERNELS_DEBIAN_SNAPSHOTS to an address of it that can be reached, or unset it',
      })
    }
  }
}

/** As images/kernel/list-kernels.awk has it. */
function isKernelOf(flavour: string, name: string): boolean {
  const [, abi] =
    /^linux-image-(\d.*)$/.exec(name.endsWith(`-${flavour}`) ? name.slice(0, -flavour.length - 1) : '') ?? []
  return (
    abi
      ?.split('-')
      .slice(1)
      .every((part) => /^(\d|rc\d)/.test(part)) ?? false
  )
}

/** Versions before the missing one, and as many after it. */
const NEAREST = 2

export function unknownVersion(
  kernel: DebianKernel,
  { kernels, missing }: KernelList,
  { debianSnapshots }: Pick<BuildContext, 'debianSnapshots'>,
): UnknownKernelError {
  const { version = '', suite } = kernel
  const after = kernels.findIndex((other) => compareVersions(other.version, version) > 0)
  const at = after === -1 ? kernels.length : after
  const nearest = kernels
    .slice(Math.max(0, at - NEAREST), at + NEAREST)
    .map((other) => `debian:${debianLabel({ ...kernel, version: other.version })}`)
  const unread = missing.filter((pocket) => pocket === suite || pocket.endsWith('-security'))
  const where =
    debianSnapshots === undefined ? 'the Debian archive has' : 'neither the Debian archive nor that of snapshots has'
  const hints = [
    nearest.length > 0
      ? `take one of the nearest that there are: ${nearest.join(', ')}`
      : 'name another suite or flavour',
    `\`testkernels kernels --suite ${suite}\` lists all`,
    ...(debianSnapshots === undefined
      ? [
          "Debian's archive of snapshots has more: set TESTKERNELS_DEBIAN_SNAPSHOTS to its address, where it can be reached",
        ]
      : []),
  ]
  return new UnknownKernelError({
    what: `${where} no kernel debian:${debianLabel(kernel)}${unread.length > 0 ? `; ${unread.join(' and ')} cannot be read` : ''}`,
    remedy: hints.join('; '),
  })
}
