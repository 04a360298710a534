import { Command, Option } from 'commander'
import { execute } from '../execute.ts'
import { inputIsPipe } from '../image-argument.ts'
import { configOption, initOption, kernelOption, progressOption, rootfsOption, wholeNumber } from './options.ts'

export function runCommand(): Command {
  return new Command('run')
    .description('Start a VM and run a command with DOCKER_HOST pointing at its dockerd; without a command, stay up.')
    .addOption(
      new Option(
        '--image <ref>',
        'a VM of this image, an id that `testkernels build` printed; - reads it from stdin',
      ).conflicts(['kernel', 'config', 'rootfs', 'init']),
    )
    .addOption(kernelOption())
    .addOption(configOption())
    .addOption(rootfsOption())
    .addOption(initOption())
    .option('--cgroup <version>', 'cgroup version of the guest, 1 or 2', wholeNumber, 2)
    .option('--controllers <which>', 'cgroup controllers that the kernel must have: all or partial')
    .option('--name <name>', 'hostname of the guest', 'kernel')
    .option('--memory-mib <mib>', 'memory of the guest in MiB', wholeNumber)
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--scratch-mib <mib>', "size of the guest's writable disk in MiB", wholeNumber)
    .option('--accelerator <kind>', 'auto, kvm or tcg (software emulation)')
    .option('--boot-timeout-ms <ms>', "longest wait for the guest's dockerd in milliseconds", wholeNumber)
    .addOption(progressOption())
    .argument('[command...]', 'command and its arguments, after --')
    .passThroughOptions()
    .action(async (command: string[], { name, image, kernel, config, progress: _, ...options }, self: Command) => {
      const namesKernel = ['image', 'kernel', 'config', 'rootfs', 'init'].some(
        (option) => self.getOptionValueSource(option) === 'cli',
      )
      // A command would want the input for itself.
      const fromPipe = !namesKernel && command.length === 0 && inputIsPipe()
      await execute(self, async (working) => {
        const { run } = await import('../run.ts')
        return await run({ name, image: fromPipe ? '-' : image, kernel, config, options, command, ...working })
      })
    })
}
