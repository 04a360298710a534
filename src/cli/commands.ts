import { fstatSync } from 'node:fs'
import { Command, Option } from 'commander'
import { bisectCommand } from './bisect-command.ts'
import { execute, executePlainly } from './execute.ts'
import {
  configOption,
  DEFAULT_KERNEL,
  entryOptions,
  initOption,
  kernelOption,
  machineOption,
  optionsOfEntry,
  progressOption,
  repeatable,
  rootfsOption,
  templateOption,
  withEntryOptions,
} from './options.ts'
import type { CacheKind } from './prune.ts'

/** All, as `--help` lists them. */
export function commands(): readonly Command[] {
  return [
    runCommand(),
    bisectCommand(),
    buildCommand(),
    reportCommand(),
    shellCommand(),
    kernelsCommand(),
    pruneCommand(),
    doctorCommand(),
    explainCommand(),
  ]
}

function buildCommand(): Command {
  return new Command('build')
    .description("Build a kernel's image, if it is not there, and print its id.")
    .addOption(kernelOption())
    .addOption(configOption())
    .addOption(rootfsOption())
    .addOption(initOption())
    .addOption(machineOption())
    .addOption(repeatable('-t, --tag <name>', 'a further name for the image'))
    .option('--push', 'push the image to the registries of its --tag names')
    .addOption(
      repeatable('--cache-from <cache>', 'build cache to read, as docker buildx has it: type=registry,ref=...'),
    )
    .addOption(repeatable('--cache-to <cache>', 'build cache to write: type=inline, or what the engine can'))
    .addOption(progressOption())
    .action(async ({ kernel, config, rootfs, init, machine, tag, push, cacheFrom, cacheTo }, self: Command) => {
      await execute(self, async (working) => {
        const { build } = await import('./build.ts')
        const options = { rootfs, init, machine }
        return await build({ kernel, config, options, tags: tag, push: push === true, cacheFrom, cacheTo, ...working })
      })
    })
}

const NAMES_KERNEL = ['kernel', 'config', 'rootfs', 'init']
/** A matrix has these for each of its entries. */
const OF_ONE_ENTRY = [
  'image',
  'kernel',
  'name',
  'timings',
  'gdb',
  'keepOnFailure',
  ...entryOptions().map((option) => option.attributeName()),
]

function runCommand(): Command {
  const command = new Command('run')
    .description('Start a VM and run a command with DOCKER_HOST pointing at its dockerd; without a command, stay up.')
    .addOption(
      new Option(
        '--image <ref>',
        'a VM of this image, an id that `testkernels build` printed; - reads it from stdin',
      ).conflicts(NAMES_KERNEL),
    )
    .addOption(kernelOption())
  return withEntryOptions(command)
    .option('--name <name>', 'hostname of the guest', 'kernel')
    .addOption(templateOption())
    .option('--timings', 'draw where the time of the start went')
    .option(
      '--vmcore <file>',
      "save the guest's memory there when the command fails or the guest panics; with --matrix FILE.ENTRY for each",
    )
    .option('--keep-on-failure', 'after a command that fails, stay up for `testkernels shell` until Ctrl-C')
    .option('--gdb', 'say how gdb is attached to the guest, which stands still while it is')
    .addOption(progressOption())
    .addOption(
      new Option(
        '--matrix <file>',
        'run the command once for each entry of the matrix that this file exports, such as testkernels.config.ts',
      ).conflicts(OF_ONE_ENTRY),
    )
    .option('--parallel', 'with --matrix: as many entries at a time as there are cores')
    .option('--report <dir>', 'with --matrix: write a report of the run, as HTML, JSON and Markdown')
    .argument('[command...]', 'command and its arguments, after --')
    .passThroughOptions()
    .action(async (command: string[], { matrix, parallel, report, vmcore, ...one }, self: Command) => {
      if (matrix !== undefined) {
        if (command.length === 0) self.error("error: option '--matrix' needs a command after --")
        return await execute(self, async (working) => {
          const { runMatrix } = await import('./run-matrix.ts')
          const order = parallel ? 'parallel' : 'in-turn'
          const template = one.template ? 'as-entries-say' : 'never'
          return await runMatrix({ file: matrix, order, template, command, report, vmcore, ...working })
        })
      }
      if (parallel) self.error("error: option '--parallel' needs --matrix")
      if (report !== undefined) self.error("error: option '--report' needs --matrix")
      const { name, image, kernel, config, timings, gdb, keepOnFailure, progress: _, ...rest } = one
      const namesKernel = ['image', ...NAMES_KERNEL].some((option) => self.getOptionValueSource(option) === 'cli')
      // A command would want the input for itself.
      const fromPipe = !namesKernel && command.length === 0 && inputIsPipe()
      await execute(self, async (working) => {
        const { run } = await import('./run.ts')
        const entry = { name, image: fromPipe ? '-' : image, kernel, config, options: optionsOfEntry(rest) }
        return await run({ ...entry, timings, vmcore, gdb, keepOnFailure, command, ...working })
      })
    })
}

/** Whether standard input is the end of a shell's pipe, as in `testkernels build | testkernels run`. */
function inputIsPipe(): boolean {
  return fstatSync(0).isFIFO()
}

function shellCommand(): Command {
  return new Command('shell')
    .description('A login shell in a VM that runs, of any process of this user; its exit status is passed on.')
    .argument('[name]', 'its hostname, the name of its entry, or its id; by default the only one that runs')
    .option('--user <name>', "a user of the guest's /etc/passwd", 'root')
    .action(async (name: string | undefined, { user }: { user: string }, self: Command) => {
      await execute(self, async (working) => {
        const { shell } = await import('./shell.ts')
        return await shell({ name, user: user === 'root' ? undefined : user, ...working })
      })
    })
}

const cacheKinds = ['images', 'templates', 'cache'] as const satisfies readonly CacheKind[]

function pruneCommand(): Command {
  return new Command('prune')
    .description('Remove what killed or crashed runs left behind.')
    .option('--all', 'also remove images, templates (saved VMs) and build cache, which the next run makes anew')
    .addOption(
      new Option('--keep <what...>', 'with --all, what stays all the same').choices(cacheKinds).default([], 'nothing'),
    )
    .action(async ({ all, keep }: { all?: true; keep: readonly CacheKind[] }, self: Command) => {
      if (keep.length > 0 && !all) self.error("error: option '--keep <what...>' says what --all leaves: give both")
      await execute(self, async (working) => {
        const { prune } = await import('./prune.ts')
        return await prune({ remove: all ? cacheKinds.filter((kind) => !keep.includes(kind)) : [], ...working })
      })
    })
}

function kernelsCommand(): Command {
  return new Command('kernels')
    .description('List the kernels that the Debian archive has, as --kernel takes them.')
    .option('--suite <suite>', 'those of one suite, such as bookworm or trixie-backports')
    .option('--flavour <flavour>', 'as in debian:SUITE/FLAVOUR; by default the one without')
    .option('--json', 'print { kernels: [{ reference, version, package, pocket }] } and nothing else')
    .addOption(progressOption())
    .action(async ({ suite, flavour, json }, self: Command) => {
      await execute(self, async (working) => {
        const { kernels } = await import('./kernels.ts')
        return await kernels({ suite, flavour, form: json ? 'json' : 'text', ...working })
      })
    })
}

function reportCommand(): Command {
  const report = new Command('report').description('Work with reports of runs, of Vitest, Jest or --report.')
  report
    .command('merge')
    .description(
      'Make one report of several: of shards, of machines, of the same tests again. Prints the path of its page.',
    )
    .argument('<dir...>', 'directories of reports')
    .requiredOption('--output <dir>', 'directory of the new one')
    .action(async (directories: string[], { output }: { output: string }, self: Command) => {
      await execute(self, async ({ settings }) => {
        const { mergeDirectories } = await import('../report/index.ts')
        const stepSummary = settings.environment['GITHUB_STEP_SUMMARY']
        process.stdout.write(`${await mergeDirectories(directories, { directory: output, stepSummary })}\n`)
        return 0
      })
    })
  return report
}

function explainCommand(): Command {
  return new Command('explain')
    .description('Print what causes an error, what to do about it, and how it reads.')
    .argument('<code>', 'what an error has in brackets, such as VM_DIED')
    .action(async (code: string) => {
      await executePlainly(async () => {
        const { explain } = await import('./explain.ts')
        process.stdout.write(explain(code))
        return 0
      })
    })
}

function doctorCommand(): Command {
  return new Command('doctor')
    .description('Look at all that a start needs, and say what to do about what is missing.')
    .option('--json', 'print { checks: [{ id, status, message, remedy }] } and nothing else')
    .action(async ({ json }: { json?: true }, self: Command) => {
      await executePlainly(async (signal) => {
        const { doctor } = await import('./doctor.ts')
        const debug = self.optsWithGlobals()['debug'] === true
        return await doctor({ form: json ? 'json' : 'text', debug, kernel: DEFAULT_KERNEL, signal })
      })
    })
}
