import type { Shortcoming } from './examine.ts'

/** What the fragment `cgroup-v1` turns on (images/kernel/fragments). */
const CGROUP_V1 = ['MEMCG_V1', 'CPUSETS_V1']

/** What somebody can do about them. */
export function remedyFor(refused: readonly Shortcoming[]): string {
  const missing = refused.flatMap((shortcoming) => shortcoming.missing)
  const off = missing.filter(({ why }) => why === 'off').map(({ name }) => name)
  const remedies: string[] = []
  if (missing.some(({ why }) => why === 'module-absent'))
    remedies.push("give the kernel's modules with it: kernel: { vmlinuz: PATH, modules: PATH }")
  if (off.some((name) => CGROUP_V1.includes(name)))
    remedies.push(
      "take a kernel that has them, such as debian:bookworm, or build one with the fragment cgroup-v1: kernel: { source: 'debian/trixie', config: ['cgroup-v1'] }",
    )
  if (off.some((name) => !CGROUP_V1.includes(name)))
    remedies.push("turn them on in the kernel's config, or take a kernel of Debian's, which have them")
  if (refused.every(({ need }) => need.of === 'controller'))
    remedies.push("with controllers: 'partial' the guest starts without them")
  return remedies.join('; ')
}
