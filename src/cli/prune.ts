import { formatBytes } from '../buildkit/progress/index.ts'
import { prune as pruneEngine } from '../engine/index.ts'
import { buildkitOf, type Host, openHost } from '../vm/image.ts'
import type { CacheKind } from './cache-kinds.ts'
import type { Working } from './execute.ts'

export interface PruneArguments extends Working {
  /** What goes besides the remains of runs. */
  readonly remove: readonly CacheKind[]
}

export async function prune({ remove, settings, log, signal }: PruneArguments): Promise<number> {
  const host = await openHost({ settings, log, signal })
  const { removed, refused } = await pruneEngine(host.engine, { caches: cachesOf(remove), signal, log })
  for (const { kind, name } of removed) log.info(`removed ${kind} ${name}`)
  for (const { kind, name, reason } of refused) log.info(`kept ${kind} ${name}: ${reason}`)
  // After the images: what is part of one stays.
  const fromCache = remove.includes('cache') ? await pruneCache(host, { log, signal }) : 0
  if (removed.length + fromCache === 0) log.info('nothing to remove')
  return 0
}

function cachesOf(remove: readonly CacheKind[]) {
  const images = remove.includes('images')
  if (remove.includes('templates')) return images ? 'remove' : 'remove volumes'
  return images ? 'remove images' : 'keep'
}

async function pruneCache(host: Host, options: Pick<Working, 'log' | 'signal'>): Promise<number> {
  const { pruneBuildCache } = await import('../image/index.ts')
  await using buildkit = await buildkitOf(host, options)
  const { records, sizeBytes } = await pruneBuildCache(buildkit, options.signal)
  if (records > 0) options.log.info(`removed ${formatBytes(sizeBytes)} of the build cache`)
  return records
}
