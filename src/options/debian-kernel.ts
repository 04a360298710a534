import { UnknownKernelError } from './errors.ts'

/** `debian:SUITE[/FLAVOUR]`: the kernel that Debian ships. */
export interface DebianKernel {
  readonly kind: 'debian'
  /** A suite of the Debian archive, such as `bookworm` or `trixie-backports`. */
  readonly suite: string
  /** What follows `linux-image-` in the meta package's name. @default the architecture's smallest */
  readonly flavour?: string
}

/** The suites that `debian:` takes: those whose kernels the machine that boots them was tested with. */
export const debianSuites = ['bullseye', 'bookworm', 'trixie', 'sid'] as const

const SUITE = /^([a-z]+(?:-backports)?)(?:\/([a-z0-9-]+))?$/

/**
 * Reads `SUITE` or `SUITE/FLAVOUR`.
 * @throws UnknownKernelError
 */
export function parseDebianKernel(text: string, entry?: string): DebianKernel {
  const [, suite, flavour] = SUITE.exec(text) ?? []
  if (suite !== undefined && debianSuites.some((name) => name === suite || `${name}-backports` === suite))
    return { kind: 'debian', suite, ...(flavour !== undefined && { flavour }) }
  throw new UnknownKernelError({
    what: `unknown kernel 'debian:${text}'`,
    entry,
    remedy: `name one of ${debianSuites.map((name) => `debian:${name}`).join(', ')}, each also as debian:SUITE-backports and debian:SUITE/FLAVOUR`,
  })
}
