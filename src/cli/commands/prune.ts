import { Command, Option } from 'commander'
import { type CacheKind, cacheKinds } from '../cache-kinds.ts'
import { execute } from '../execute.ts'

export function pruneCommand(): Command {
  return new Command('prune')
    .description('Remove what killed or crashed runs left behind.')
    .option('--all', 'also remove images, templates (saved VMs) and build cache, which the next run makes anew')
    .addOption(
      new Option('--keep <what...>', 'with --all, what stays all the same').choices(cacheKinds).default([], 'nothing'),
    )
    .action(async ({ all, keep }: { all?: true; keep: readonly CacheKind[] }, self: Command) => {
      if (keep.length > 0 && !all) self.error("error: option '--keep <what...>' says what --all leaves: give both")
      await execute(self, async (working) => {
        const { prune } = await import('../prune.ts')
        return await prune({ remove: all ? cacheKinds.filter((kind) => !keep.includes(kind)) : [], ...working })
      })
    })
}
