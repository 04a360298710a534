import { basename } from 'node:path'
import { kernelText } from './kernel-label.ts'
import type { KernelSpec } from './kernel-reference.ts'

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
      return value === undefined ? '' : withoutScheme(kernelText(value as KernelSpec))
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
      return basename(String((value as readonly string[])[0]))
    default:
      return String(value)
  }
}

/** `debian:bookworm` is `bookworm`; `source:debian/trixie with cgroup-v1` is `source-debian-trixie-cgroup-v1`. */
function withoutScheme(reference: string): string {
  return reference.replace(/^(debian:|version:|docker-image:\/\/|dockerfile:|file:\/\/)/, '').replace(' with ', ' ')
}

function asName(text: string): string {
  const name = text.replace(/[^A-Za-z0-9._]+/g, '-').replace(/^[^A-Za-z0-9]+/, '')
  return name.slice(0, NAME_MAX_LENGTH).replace(/-+$/, '')
}
