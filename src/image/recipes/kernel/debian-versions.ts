import * as v from 'valibot'
import { fetchText, KernelSourceUnavailableError } from './kernel-org.ts'

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
