import { Command } from 'commander'
import { execute } from '../execute.ts'
import { configOption, initOption, kernelOption, progressOption, repeated, rootfsOption } from './options.ts'

export function buildCommand(): Command {
  return new Command('build')
    .description("Build a kernel's image, if it is not there, and print its id.")
    .addOption(kernelOption())
    .addOption(configOption())
    .addOption(rootfsOption())
    .addOption(initOption())
    .option('-t, --tag <name>', 'a further name for the image; may be repeated', repeated, [])
    .addOption(progressOption())
    .action(async ({ kernel, config, rootfs, init, tag }, self: Command) => {
      await execute(self, async (working) => {
        const { build } = await import('../build.ts')
        return await build({ kernel, config, options: { rootfs, init }, tags: tag, ...working })
      })
    })
}
