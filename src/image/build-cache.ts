import type { Buildkit, UsageRecord } from '../buildkit/index.ts'
import { BUILD_MARK, NAME_MARK } from './recipes/ingredient.ts'

export interface BuildCachePruneResult {
  readonly records: number
  readonly sizeBytes: number
}

/**
 * Removes from the build cache what builds of ours left, and nothing that could be somebody else's: file operations that
 * start from nothing, some kilobytes of ours among them, say not whose they are and stay until BuildKit clears them away. What is in use, or
 * part of an image that is there, stays as well.
 */
export async function pruneBuildCache(
  buildkit: Pick<Buildkit, 'diskUsage' | 'prune'>,
  signal: AbortSignal,
): Promise<BuildCachePruneResult> {
  const ours = recordsOfOurs(await buildkit.diskUsage({ signal }))
  // No filter at all would be everything.
  if (ours.length === 0) return { records: 0, sizeBytes: 0 }
  const removed = await buildkit.prune({ filters: ours.map(({ id }) => `id==${id}`), all: true, signal })
  return { records: removed.length, sizeBytes: removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }
}

/** Steps with our mark, directories with our names, and the file operations on top of any of them. */
export function recordsOfOurs(records: readonly UsageRecord[]): readonly UsageRecord[] {
  const ours = new Map(records.filter(isMarked).map((record) => [record.id, record]))
  // A record may come before its parent in the list.
  for (let known = -1; known < ours.size; ) {
    known = ours.size
    for (const record of records) {
      const { id, parent, description } = record
      if (parent !== undefined && ours.has(parent) && description.startsWith(FILE_OPERATION)) ours.set(id, record)
    }
  }
  return [...ours.values()]
}

/** All that BuildKit says of a record that a file operation made. */
const FILE_OPERATION = 'fileop target'

function isMarked({ description }: UsageRecord): boolean {
  // `mount / from exec COMMAND` for a result, `cached mount …` for what a cache mount holds.
  if (/^(?:cached )?mount \S+ from exec /.test(description))
    return description.includes(` from exec env ${BUILD_MARK} `)
  return description.startsWith(`local source for ${NAME_MARK}`)
}
