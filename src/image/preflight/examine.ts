import type { Architecture } from '../../arch/index.ts'
import { parseVersion } from './kernel-config.ts'
import type { KernelFacts } from './kernel-facts.ts'
import { alternativesOf, concerns, type Need } from './need.ts'
import { needsOn } from './needs.ts'

/** What a guest is to do, as far as its kernel matters. */
export interface GuestPurpose {
  readonly arch: Architecture
  readonly cgroup: 1 | 2
  /** dockerd, or a command of the user's. */
  readonly runs: 'dockerd' | 'command'
}

/** A need that a kernel does not meet. */
export interface Shortcoming {
  readonly need: Need
  /** The options that are off, or modules of a kernel that came without its modules. */
  readonly missing: readonly MissingOption[]
}

export interface MissingOption {
  /** Without `CONFIG_`. */
  readonly name: string
  readonly why: 'off' | 'module-absent'
}

/** All needs that the kernel does not meet; none for a kernel whose config is not known. */
export function examine(facts: KernelFacts, { arch, cgroup, runs }: GuestPurpose): Shortcoming[] {
  const { release, config } = facts
  if (config === undefined) return []
  const version = config.version ?? parseVersion(release)
  return needsOn(arch)
    .filter((need) => need.cgroup === undefined || need.cgroup === cgroup)
    .filter((need) => runs === 'dockerd' || need.of === 'guest' || need.of === 'controller')
    .filter((need) => concerns(need, version))
    .flatMap((need) => {
      const sets = alternativesOf(need).map((set) => missingOf(set, facts))
      const [first = []] = sets
      return sets.some((missing) => missing.length === 0) ? [] : [{ need, missing: first }]
    })
}

function missingOf(set: readonly string[], { config, modules }: KernelFacts): MissingOption[] {
  return set.flatMap((name): MissingOption[] => {
    const value = config?.options[name]
    if (value === undefined) return [{ name, why: 'off' }]
    return value === 'm' && modules === 'absent' ? [{ name, why: 'module-absent' }] : []
  })
}
