import { KernelSourceUnavailableError } from '../image/index.ts'
import { debianLabel, debianSuites, InvalidOptionError } from '../options/index.ts'
import { listKernels, openSession, type Session } from '../vm/image.ts'
import type { Working } from './execute.ts'

export interface KernelsArguments extends Working {
  /** @default each that an entry can name */
  readonly suite: string | undefined
  /** @default the one that `debian:SUITE` means */
  readonly flavour: string | undefined
  readonly form: 'text' | 'json'
}

/** A kernel that the Debian archive has. */
interface ListedKernel {
  /** What `--kernel` takes. */
  readonly reference: string
  /** Of the package. */
  readonly version: string
  readonly package: string
  /** Where the archive lists it: the suite, or a part of it such as its security updates. */
  readonly pocket: string
}

/** Each also has backports, but the one that they come from. */
const SUITES = debianSuites.flatMap((suite) => (suite === 'sid' ? [suite] : [suite, `${suite}-backports`]))

/** Prints the kernels that `debian:SUITE@VERSION` can name, from the oldest to the newest of each suite. */
export async function kernels(args: KernelsArguments): Promise<number> {
  const { suite, form, settings, log, progress, signal } = args
  if (suite !== undefined && !SUITES.includes(suite))
    throw new InvalidOptionError({ what: `unknown suite '${suite}'`, remedy: `name one of ${SUITES.join(', ')}` })
  const onBuildStatus = progress.update.bind(progress)
  const session = await openSession({ settings, log, signal, onBuildStatus })
  const listed = suite === undefined ? await kernelsOfAll(session, args) : await kernelsOf(suite, session, args)
  progress.end()
  process.stdout.write(form === 'json' ? `${JSON.stringify({ kernels: listed }, undefined, 2)}\n` : table(listed))
  return 0
}

async function kernelsOf(suite: string, session: Session, args: KernelsArguments): Promise<readonly ListedKernel[]> {
  const { flavour, log } = args
  const { kernels, missing } = await listKernels({ session, suite, flavour }, args)
  const security = missing.find((pocket) => pocket.endsWith('-security'))
  if (security !== undefined) log.warn(`${security} cannot be read: its kernels are missing below`)
  return kernels.map(({ version, packages, pocket }) => ({
    reference: `debian:${debianLabel({ suite, version, ...(flavour !== undefined && { flavour }) })}`,
    version,
    package: packages[0] ?? '',
    pocket,
  }))
}

/** Not every suite has backports, nor every mirror every suite. @throws KernelSourceUnavailableError where there is none */
async function kernelsOfAll(session: Session, args: KernelsArguments): Promise<readonly ListedKernel[]> {
  const outcomes = await Promise.allSettled(SUITES.map((suite) => kernelsOf(suite, session, args)))
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  const other = failures.find((reason) => !(reason instanceof KernelSourceUnavailableError))
  if (other !== undefined || failures.length === SUITES.length) throw other ?? failures[0]
  return outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))
}

/** In columns, for people and for `awk`. */
function table(listed: readonly ListedKernel[]): string {
  const width = Math.max(...listed.map(({ reference }) => reference.length))
  const packageWidth = Math.max(...listed.map((kernel) => kernel.package.length))
  return listed
    .map((kernel) => `${kernel.reference.padEnd(width)}  ${kernel.package.padEnd(packageWidth)}  ${kernel.pocket}\n`)
    .join('')
}
