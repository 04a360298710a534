import { basename } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { inConfiguration } from '../errors/index.ts'
import { InvalidOptionError } from './errors.ts'
import { forwardName } from './forwards.ts'
import { preloadName } from './guest-images.ts'
import { isNamedInit, type KernelOptions, type NamedKernelOptions, parseMatrix } from './kernel-entry.ts'
import { dockerfileLabel, type KernelSpec, kernelText } from './kernel-reference.ts'

type Options = { readonly [Option in keyof KernelOptions]?: NonNullable<KernelOptions[Option]> }

/** Some options of an entry, such as `{ kernel: 'debian:trixie', cgroup: 1 }`. */
export type KernelCombination = Options

/** Every option of an entry, as one value for all entries, or as a list that the entries are made from. */
export type KernelAxes = {
  readonly [Option in keyof KernelOptions]?:
    | NonNullable<KernelOptions[Option]>
    | readonly NonNullable<KernelOptions[Option]>[]
}

/** A matrix as GitHub Actions has it. */
export interface KernelMatrixOptions extends KernelAxes {
  /** Combinations to leave out: each that has all of these values. */
  readonly exclude?: readonly KernelCombination[]
  /**
   * Options to add to each combination that they contradict in no list; where there is none, a combination of its own.
   * `name` is used instead of the generated name.
   */
  readonly include?: readonly (KernelCombination & { readonly name?: string })[]
}

/**
 * The cross product of all lists, each entry with a name made from its values: `{ kernel: ['debian:bullseye',
 * 'debian:bookworm'], cgroup: [1, 2] }` has `bullseye-cgroupv1` to `bookworm-cgroupv2`. First `exclude` takes away, then
 * `include` adds. The result is frozen, and is what `kernelProjects` and `kernelSuite` take.
 *
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function kernelMatrix(matrix: KernelMatrixOptions): readonly NamedKernelOptions[] {
  return inConfiguration(() => entriesOf(matrix))
}

function entriesOf(matrix: KernelMatrixOptions): readonly NamedKernelOptions[] {
  const { exclude = [], include = [], ...options } = matrix
  const values = Object.entries<unknown>(options).filter(([, value]) => value !== undefined)
  const axes = values.filter(isAxis)
  const common = Object.fromEntries(values.filter((value) => !isAxis(value)))
  const product = (values.length === 0 ? [] : crossProduct(axes)).map((chosen) => ({
    axes: chosen,
    options: { ...common, ...chosen },
  }))
  const kept = leaveOut(product, exclude)
  const named = nameCombinations(add(kept, { include, common, axes: axes.map(([option]) => option) }))
  const entries = named.map(({ name, options }) => Object.freeze({ name, ...options } as NamedKernelOptions))
  parseMatrix(entries)
  return Object.freeze(entries)
}

/** Their values are lists themselves: only a list of lists is one to choose from. */
const LISTS = ['init', 'images', 'kernelArguments', 'modules', 'egress', 'forwards', 'hostPorts', 'mounts']

function isAxis(entry: readonly [string, unknown]): entry is [string, readonly unknown[]] {
  const [option, value] = entry
  return Array.isArray(value) && (!LISTS.includes(option) || value.every((one) => isChoice(option, one)))
}

function isChoice(option: string, value: unknown): boolean {
  if (option === 'init' && isNamedInit(value)) return true
  return Array.isArray(value) || (option === 'egress' && (value === 'all' || value === 'none'))
}

function crossProduct(axes: readonly (readonly [string, readonly unknown[]])[]): Record<string, unknown>[] {
  return axes.reduce<Record<string, unknown>[]>(
    (combinations, [option, values]) =>
      combinations.flatMap((one) => values.map((value) => ({ ...one, [option]: value }))),
    [{}],
  )
}

/** An `exclude` that takes nothing away is a mistake: the entry that it means would run. */
function leaveOut(combinations: readonly Combination[], exclude: readonly KernelCombination[]): readonly Combination[] {
  return exclude.reduce<readonly Combination[]>((kept, excluded) => {
    const isExcluded = ({ options }: Combination) => hasAll(options, Object.entries(excluded))
    // Against all: two of them may take away the same.
    if (!combinations.some(isExcluded)) {
      throw new InvalidOptionError({
        what: `exclude ${JSON.stringify(excluded)} fits no combination of the matrix`,
        remedy: 'write its values as they stand in the lists, or remove it',
      })
    }
    return kept.filter((combination) => !isExcluded(combination))
  }, combinations)
}

interface Additions {
  readonly include: NonNullable<KernelMatrixOptions['include']>
  readonly common: Readonly<Record<string, unknown>>
  readonly axes: readonly string[]
}

/** Combinations that an `include` made are not added to by the next, as with GitHub Actions. */
function add(combinations: readonly Combination[], { include, common, axes }: Additions): readonly Combination[] {
  const made: Combination[] = []
  const extended = include.reduce<readonly Combination[]>((all, { name, ...options }) => {
    const ofLists = Object.entries(options).filter(([option]) => axes.includes(option))
    const takesIt = (combination: Combination) => hasAll(combination.axes, ofLists)
    if (!all.some(takesIt)) {
      made.push({ axes: Object.fromEntries(ofLists), options: { ...common, ...options }, name })
      return all
    }
    return all.map((combination) =>
      takesIt(combination)
        ? { ...combination, options: { ...combination.options, ...options }, name: name ?? combination.name }
        : combination,
    )
  }, combinations)
  return [...extended, ...made]
}

function hasAll(options: Readonly<Record<string, unknown>>, wanted: readonly (readonly [string, unknown])[]): boolean {
  return wanted.every(([option, value]) => isDeepStrictEqual(options[option], value))
}

/** A combination on its way to an entry. */
export interface Combination {
  /** The values that come from lists; what `exclude` and `include` are compared with. */
  readonly axes: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
  readonly name?: string | undefined
}

const NAME_MAX_LENGTH = 63

/**
 * Gives each combination a name of its kernel and of what was chosen from lists, in the order in which these were written:
 * `bookworm-cgroupv1`. A name stays when a list grows. Those that would be the same are numbered.
 */
export function nameCombinations(combinations: readonly Combination[]): readonly (Combination & { name: string })[] {
  const taken = new Map<string, number>()
  for (const { name } of combinations) if (name !== undefined) taken.set(name, 1)
  return combinations.map((combination) => {
    if (combination.name !== undefined) return { ...combination, name: combination.name }
    const base = generatedName(combination)
    const count = (taken.get(base) ?? 0) + 1
    taken.set(base, count)
    return { ...combination, name: count === 1 ? base : `${base.slice(0, NAME_MAX_LENGTH - 4)}-${count}` }
  })
}

function generatedName({ axes, options }: Combination): string {
  const { kernel, ...others } = { kernel: options['kernel'], ...axes }
  const parts = [['kernel', kernel] as const, ...Object.entries(others)].map(([option, value]) => label(option, value))
  return asName(parts.filter((part) => part !== '').join('-'))
}

function label(option: string, value: unknown): string {
  switch (option) {
    case 'kernel':
      return value === undefined ? '' : kernelName(value as KernelSpec)
    case 'cgroup':
      return `cgroupv${value}`
    case 'memoryMib':
      return `${value}mib`
    case 'scratchMib':
      return `scratch-${value}mib`
    case 'cpus':
      return `${value}cpus`
    case 'bootTimeoutMs':
      return `boot-${value}ms`
    case 'rootfs':
      return `on-${withoutScheme(typeof value === 'string' ? value : String((value as { dockerfile?: string }).dockerfile))}`
    case 'init':
      return typeof value === 'string' ? value : basename(String((value as readonly string[])[0]))
    case 'images':
      return (value as NonNullable<KernelOptions['images']>).map(preloadName).join('-') || 'no-images'
    case 'kernelArguments':
      return (value as readonly string[]).join('-') || 'no-arguments'
    case 'modules':
      return (value as readonly string[]).join('-') || 'no-modules'
    case 'sysctls':
      return (
        Object.entries(value as object)
          .flat()
          .join('-') || 'no-sysctls'
      )
    case 'daemon':
      return Object.keys(value as object).join('-') || 'no-daemon-options'
    case 'egress':
      return `egress-${[value].flat().join('-')}`
    case 'network':
      return value === 'none' ? 'no-network' : `on-${value}`
    case 'proxy':
      return `proxy-${typeof value === 'string' ? value : 'given'}`
    case 'forwards':
      return (value as NonNullable<KernelOptions['forwards']>).map(forwardName).join('-') || 'no-forwards'
    case 'hostPorts':
      return `host-ports-${(value as readonly number[]).join('-') || 'none'}`
    case 'mounts':
      return (value as NonNullable<KernelOptions['mounts']>).map(({ guest }) => guest).join('-') || 'no-mounts'
    case 'template':
      return value ? 'saved' : 'cold'
    case 'spares':
      return `${value}-spares`
    default:
      return String(value)
  }
}

/** Of one that a Dockerfile makes, its recipe and what was chosen of it: `dnf-rockylinux-9`. */
function kernelName(kernel: KernelSpec): string {
  if (typeof kernel === 'string' || !('dockerfile' in kernel)) return withoutScheme(kernelText(kernel))
  const { dockerfile, target = '', buildArgs = {} } = kernel
  return [dockerfileLabel(dockerfile), target, ...Object.values(buildArgs)].filter((part) => part !== '').join('-')
}

/** `debian:bookworm` is `bookworm`; `source:debian/trixie with cgroup-v1` is `source-debian-trixie-cgroup-v1`. */
function withoutScheme(reference: string): string {
  return reference.replace(/^(debian:|version:|docker-image:\/\/|dockerfile:|file:\/\/)/, '').replace(' with ', ' ')
}

function asName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9._]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return name.slice(0, NAME_MAX_LENGTH).replace(/-+$/, '')
}
