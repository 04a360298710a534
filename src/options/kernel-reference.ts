import { UnknownKernelError } from './errors.ts'
import { parseSourceKernel, type SourceKernel, type SourceKernelOptions, sourceKernelText } from './source-kernel.ts'

/** Where a kernel comes from. */
export type KernelReference = DebianKernel | SourceKernel

/** `debian:SUITE[/FLAVOUR]`: the kernel that Debian ships. */
export interface DebianKernel {
  readonly kind: 'debian'
  /** A suite of the Debian archive, such as `bookworm` or `trixie-backports`. */
  readonly suite: string
  /** What follows `linux-image-` in the meta package's name. */
  readonly flavour: string
}

/** The suites that `debian:` takes: those whose kernels the machine that boots them was tested with. */
export const debianSuites = ['bullseye', 'bookworm', 'trixie', 'sid'] as const

const DEFAULT_FLAVOUR = 'cloud-amd64'
const DEBIAN = /^debian:([a-z]+(?:-backports)?)(?:\/([a-z0-9-]+))?$/

/**
 * Reads `debian:SUITE` or `debian:SUITE/FLAVOUR`; `version:` and `source:`, or an object, for a kernel from source.
 * @throws UnknownKernelError; InvalidOptionError
 */
export function parseKernelReference(kernel: string | SourceKernelOptions, entry?: string): KernelReference {
  const source = typeof kernel === 'string' ? sourceKernelText(kernel) : kernel
  if (source !== undefined) return parseSourceKernel(source, debianSuites, entry)
  return debianKernel(String(kernel), entry)
}

function debianKernel(text: string, entry: string | undefined): DebianKernel {
  const [, suite, flavour = DEFAULT_FLAVOUR] = DEBIAN.exec(text) ?? []
  const known = debianSuites.some((name) => name === suite || `${name}-backports` === suite)
  if (suite === undefined || !known) {
    throw new UnknownKernelError({
      what: `unknown kernel '${text}'`,
      entry,
      remedy: `name one of ${debianSuites.map((name) => `debian:${name}`).join(', ')}, each also as debian:SUITE/FLAVOUR; or build one with version: or source:`,
    })
  }
  return { kind: 'debian', suite, flavour }
}
