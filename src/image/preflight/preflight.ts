import type { Architecture } from '../../arch/index.ts'
import { TestkernelsError } from '../../errors/index.ts'
import type { Logger } from '../../log/index.ts'
import type { MachineOption } from '../../options/index.ts'
import { driverOptions } from './drivers.ts'
import { hasOption, isBefore, type KernelFacts, type KernelVersion, versionOf } from './kernel-facts.ts'
import { alternativesOf, concerns, LEAKS, MOUNTS, type Need, needsOn } from './needs.ts'

/** The kernel's config shows that a guest of this entry cannot work. */
export class KernelUnsuitableError extends TestkernelsError {
  readonly code = 'KERNEL_UNSUITABLE'
}

export interface PreflightRequest extends GuestPurpose {
  readonly entry: string
  /** The kernel as the user named it. */
  readonly kernel: string
  /** `partial`: go without a controller that is missing, and say so. */
  readonly controllers: 'all' | 'partial'
  readonly log: Logger
}

/** So many options are named in a sentence; all of them are in the lines below it. */
const NAMED = 5

/**
 * Compares a kernel with what its guest needs, before anything is made of it.
 * @throws KernelUnsuitableError naming the options
 */
export function preflight(facts: KernelFacts, request: PreflightRequest): void {
  const { entry, kernel, cgroup, controllers, log } = request
  const named = `the kernel ${facts.release} (${kernel})`
  if (facts.config === undefined) {
    log.warn(`${named} came without its config: whether it has what the guest needs will show when it boots`)
    return
  }
  const shortcomings = examine(facts, request)
  const tolerated = controllers === 'partial' ? ['controller', 'feature'] : ['feature']
  const refused = shortcomings.filter(({ need }) => !tolerated.includes(need.of))
  if (refused.length > 0) {
    throw new KernelUnsuitableError({
      what: `${named} lacks ${namesOf(refused)}, which a guest on cgroup v${cgroup} needs`,
      entry,
      remedy: remedyFor(refused, request),
      output: refused.map(describe).join('\n'),
    })
  }
  const of = (level: string) => shortcomings.filter(({ need }) => need.of === level).map(describe)
  if (of('controller').length > 0) log.warn(`${named} goes without ${of('controller').join(', ')}`)
  if (of('feature').length > 0) log.debug(`${named} goes without ${of('feature').join(', ')}`)
  warnOfAge(named, facts, request)
}

/** What cgroup v2 got after 4.18, for which there is no option. */
const LATER_ON_V2: readonly { readonly what: string; readonly since: KernelVersion }[] = [
  { what: 'docker run --cpuset-cpus', since: [5, 0] },
  { what: 'docker pause', since: [5, 2] },
]

function warnOfAge(named: string, facts: KernelFacts, { cgroup, log }: PreflightRequest): void {
  const version = versionOf(facts)
  if (version === undefined || cgroup === 1) return
  const later = LATER_ON_V2.filter(({ since }) => isBefore(version, since)).map(
    ({ what, since }) => `${what} from ${since.join('.')} on`,
  )
  if (later.length === 0) return
  const unless = 'unless the distribution has brought it to an older one, as RHEL 8 has'
  log.warn(`${named} is ${version.join('.')}: on cgroup v2 there is ${later.join(', ')}, ${unless}`)
}

function namesOf(shortcomings: readonly Shortcoming[]): string {
  const names = [...new Set(shortcomings.flatMap(({ missing }) => missing.map(({ name }) => `CONFIG_${name}`)))]
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  return names.slice(0, NAMED).join(', ') + more
}

/** `CONFIG_MEMCG_V1 (docker run --memory on cgroup v1)`; with all that would do, `CONFIG_EXT4_FS, or CONFIG_XFS_FS (the writable disk)`. */
function describe({ need, missing, others }: Shortcoming): string {
  const sets = [missing, ...others].map((set) => set.map(describeOption).join(' '))
  return `${sets.join(', or ')} (${need.purpose})`
}

function describeOption({ name, why }: MissingOption): string {
  return why === 'off' ? `CONFIG_${name}` : `CONFIG_${name}=m without modules`
}

/** What a guest is to do, as far as its kernel matters. */
export interface GuestPurpose {
  readonly arch: Architecture
  readonly machine: MachineOption
  readonly cgroup: 1 | 2
  /** dockerd, or a command of the user's. */
  readonly runs: 'dockerd' | 'command'
  /** Whether it has directories of the client's. @default false */
  readonly mounts?: boolean
  /** Whether its kernel is to look for memory that it has lost. @default false */
  readonly kmemleak?: boolean
}

/** A need that a kernel does not meet. */
interface Shortcoming {
  readonly need: Need
  /** The options that are off, or modules of a kernel that came without its modules. */
  readonly missing: readonly MissingOption[]
  /** The same of what would do in its place. */
  readonly others: readonly (readonly MissingOption[])[]
}

interface MissingOption {
  /** Without `CONFIG_`. */
  readonly name: string
  readonly why: 'off' | 'module-absent'
}

/** All needs that the kernel does not meet; none for a kernel whose config is not known. */
export function examine(facts: KernelFacts, purpose: GuestPurpose): Shortcoming[] {
  if (facts.config === undefined) return []
  const { arch, machine, cgroup, runs, mounts, kmemleak } = purpose
  return [...needsOn({ arch, machine }), ...(kmemleak === true ? [LEAKS] : [])]
    .map((need) => (need === MOUNTS && mounts === true ? ({ ...need, of: 'guest' } as const) : need))
    .filter((need) => need.cgroup === undefined || need.cgroup === cgroup)
    .filter((need) => runs === 'dockerd' || need.of === 'guest' || need.of === 'controller')
    .filter((need) => concerns(need, facts))
    .flatMap((need) => {
      const sets = alternativesOf(need).map((set) => missingOf(set, facts))
      const [missing = [], ...others] = sets
      return sets.some((set) => set.length === 0) ? [] : [{ need, missing, others }]
    })
}

function missingOf(set: readonly string[], facts: KernelFacts): MissingOption[] {
  return set
    .filter((name) => !hasOption(facts, name))
    .map((name) => ({ name, why: facts.config?.options[name] === 'm' ? 'module-absent' : 'off' }))
}

/** For what no kernel of a distribution may have, and a fragment turns on (images/kernel/fragments). */
const FRAGMENTS: readonly { readonly options: readonly string[]; readonly remedy: string }[] = [
  {
    options: ['MEMCG_V1', 'CPUSETS_V1'],
    remedy:
      "take a kernel that has them, such as debian:bookworm, or build one with the fragment cgroup-v1: kernel: { source: 'debian/trixie', config: ['cgroup-v1'] }",
  },
  {
    options: alternativesOf(LEAKS).flat(),
    remedy:
      "build one with the fragment kmemleak: kernel: { source: 'debian/bookworm', config: ['kmemleak'] }; or leave kmemleak out of kernelReports",
  },
]

/** What somebody can do about them. */
function remedyFor(refused: readonly Shortcoming[], { arch, machine }: PreflightRequest): string {
  const missing = refused.flatMap((shortcoming) => shortcoming.missing)
  const off = missing.filter(({ why }) => why === 'off').map(({ name }) => name)
  const remedies: string[] = []
  if (missing.some(({ why }) => why === 'module-absent'))
    remedies.push("give the kernel's modules with it: kernel: { vmlinuz: PATH, modules: PATH }")
  for (const { options, remedy } of FRAGMENTS) if (off.some((name) => options.includes(name))) remedies.push(remedy)
  if (off.some((name) => FRAGMENTS.every(({ options }) => !options.includes(name))))
    remedies.push("turn them on in the kernel's config, or take a kernel of Debian's, which have them")
  const { transports } = driverOptions({ arch, machine })
  if (machine !== 'auto' && refused.some(({ need }) => transports.some(({ options }) => options === need.options)))
    remedies.push(`leave out machine: '${machine}', for a machine that the kernel has drivers for`)
  if (refused.every(({ need }) => need.of === 'controller'))
    remedies.push("with controllers: 'partial' the guest starts without them")
  return remedies.join('; ')
}
