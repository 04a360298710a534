import { prune as pruneEngine } from '../engine/index.ts'
import { openHost } from '../vm/image.ts'
import type { Working } from './execute.ts'

export interface PruneArguments extends Working {
  readonly caches: 'keep' | 'remove'
}

export async function prune({ caches, settings, log, signal }: PruneArguments): Promise<number> {
  const { engine } = await openHost({ settings, log, signal })
  const { removed, refused } = await pruneEngine(engine, { caches, signal, log })
  for (const { kind, name } of removed) log.info(`removed ${kind} ${name}`)
  for (const { kind, name, reason } of refused) log.info(`kept ${kind} ${name}: ${reason}`)
  if (removed.length === 0) log.info('nothing to remove')
  return 0
}
