import { Command } from 'commander'
import { execute } from '../execute.ts'
import {
  cacheFromOption,
  cacheToOption,
  configOption,
  initOption,
  kernelOption,
  progressOption,
  repeated,
  rootfsOption,
} from './options.ts'

export function buildCommand(): Command {
  return new Command('build')
    .description("Build a kernel's image, if it is not there, and print its id.")
    .addOption(kernelOption())
    .addOption(configOption())
    .addOption(rootfsOption())
    .addOption(initOption())
    .option('-t, --tag <name>', 'a further name for the image; may be repeated', repeated, [])
    .option('--push', 'push the image to the registries of its --tag names')
    .addOption(cacheFromOption())
    .addOption(cacheToOption())
    .addOption(progressOption())
    .action(async ({ kernel, config, rootfs, init, tag, push, cacheFrom, cacheTo }, self: Command) => {
      await execute(self, async (working) => {
        const { build } = await import('../build.ts')
        const options = { rootfs, init }
        return await build({ kernel, config, options, tags: tag, push: push === true, cacheFrom, cacheTo, ...working })
      })
    })
}
