import { Command, Option } from 'commander'
import { execute } from '../execute.ts'
import { inputIsPipe } from '../image-argument.ts'
import { configOption, initOption, kernelOption, progressOption, rootfsOption, wholeNumber } from './options.ts'

const NAMES_KERNEL = ['kernel', 'config', 'rootfs', 'init']
/** A matrix has these for each of its entries. */
const OF_ONE_ENTRY = [
  ...['image', 'name', 'cgroup', 'controllers', 'memoryMib', 'cpus', 'scratchMib', 'accelerator', 'bootTimeoutMs'],
  'timings',
  ...NAMES_KERNEL,
]

export function runCommand(): Command {
  return new Command('run')
    .description('Start a VM and run a command with DOCKER_HOST pointing at its dockerd; without a command, stay up.')
    .addOption(
      new Option(
        '--image <ref>',
        'a VM of this image, an id that `testkernels build` printed; - reads it from stdin',
      ).conflicts(NAMES_KERNEL),
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
    .option('--no-template', 'boot cold, where a saved VM would start in a fraction of a second')
    .option('--timings', 'draw where the time of the start went')
    .addOption(progressOption())
    .addOption(
      new Option(
        '--matrix <file>',
        'run the command once for each entry of the matrix that this file exports, such as testkernels.config.ts',
      ).conflicts(OF_ONE_ENTRY),
    )
    .option('--parallel', 'with --matrix: as many entries at a time as there are cores')
    .argument('[command...]', 'command and its arguments, after --')
    .passThroughOptions()
    .action(async (command: string[], { matrix, parallel, ...one }, self: Command) => {
      if (matrix !== undefined)
        return await runWithMatrix(self, { file: matrix, parallel, template: one.template, command })
      if (parallel) self.error("error: option '--parallel' needs --matrix")
      const { name, image, kernel, config, timings, progress: _, ...options } = one
      const namesKernel = ['image', ...NAMES_KERNEL].some((option) => self.getOptionValueSource(option) === 'cli')
      // A command would want the input for itself.
      const fromPipe = !namesKernel && command.length === 0 && inputIsPipe()
      await execute(self, async (working) => {
        const { run } = await import('../run.ts')
        return await run({ name, image: fromPipe ? '-' : image, kernel, config, options, timings, command, ...working })
      })
    })
}

interface MatrixOptions {
  readonly file: string
  readonly parallel: boolean | undefined
  readonly template: boolean
  readonly command: readonly string[]
}

async function runWithMatrix(self: Command, { file, parallel, template, command }: MatrixOptions): Promise<void> {
  if (command.length === 0) self.error("error: option '--matrix' needs a command after --")
  await execute(self, async (working) => {
    const { runMatrix } = await import('../matrix/run-matrix.ts')
    return await runMatrix({
      file,
      order: parallel ? 'parallel' : 'in-turn',
      template: template ? 'as-entries-say' : 'never',
      command,
      ...working,
    })
  })
}
