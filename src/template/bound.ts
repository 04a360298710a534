import type { StoredTemplate } from './store.ts'

export interface Bound {
  readonly limitBytes: number
  /** Stays, however large it is. */
  readonly keep: string
}

/** The keys of templates that must go so that the rest fits: least recently used first. */
export function templatesToEvict(stored: readonly StoredTemplate[], { limitBytes, keep }: Bound): readonly string[] {
  const byAge = stored.toSorted((one, other) => one.usedAt.getTime() - other.usedAt.getTime())
  let surplus = stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - limitBytes
  const evicted: string[] = []
  for (const { key, sizeBytes } of byAge) {
    if (surplus <= 0) break
    if (key === keep) continue
    evicted.push(key)
    surplus -= sizeBytes
  }
  return evicted
}
