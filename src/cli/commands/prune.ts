import { Command } from 'commander'
import { execute } from '../execute.ts'

export function pruneCommand(): Command {
  return new Command('prune')
    .description('Remove what killed or crashed runs left behind.')
    .option('--all', 'also remove images and caches, which the next run makes anew')
    .action(async ({ all }, self: Command) => {
      await execute(self, async (working) => {
        const { prune } = await import('../prune.ts')
        return await prune({ caches: all ? 'remove' : 'keep', ...working })
      })
    })
}
