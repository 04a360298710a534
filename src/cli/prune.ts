import { formatBytes } from '../buildkit/progress/index.ts'
import { type Host, openDockerHost, type PruneOptions } from '../host/index.ts'
import type { Working } from './execute.ts'

/** What `prune --all` removes besides the remains of runs, and `--keep` leaves. */
export type CacheKind = 'images' | 'templates' | 'cache'

export interface PruneArguments extends Working {
  /** What goes besides the remains of runs. */
  readonly remove: readonly CacheKind[]
}

export async function prune({ remove, settings, log, signal }: PruneArguments): Promise<number> {
  const host = await openDockerHost({ settings, log, signal })
  const { removed, refused } = await host.prune({ caches: cachesOf(remove), signal, log })
  for (const { kind, name } of removed) log.info(`removed ${kind} ${name}`)
  for (const { kind, name, reason } of refused) log.info(`kept ${kind} ${name}: ${reason}`)
  // After the images: what is part of one stays.
  const fromCache = remove.includes('cache') ? await pruneCache(host, { log, signal }) : 0
  if (removed.length + fromCache === 0) log.info('nothing to remove')
  return 0
}

function cachesOf(remove: readonly CacheKind[]): NonNullable<PruneOptions['caches']> {
  const kinds = { images: 'image', templates: 'volume' } as const
  return remove.flatMap((kind) => (kind === 'cache' ? [] : [kinds[kind]]))
}

async function pruneCache(host: Host, options: Pick<Working, 'log' | 'signal'>): Promise<number> {
  const { pruneBuildCache } = await import('../image/index.ts')
  await using buildkit = await host.ownBuilder(options).connect()
  const { records, sizeBytes } = await pruneBuildCache(buildkit, options.signal)
  if (records > 0) options.log.info(`removed ${formatBytes(sizeBytes)} of the build cache`)
  return records
}
