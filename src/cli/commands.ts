import { fstatSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { progressKinds } from '../options/index.ts'
import { execute } from './execute.ts'
import { exitOnSignals, exitStatusOf } from './exit.ts'
import type { CacheKind } from './prune.ts'

/** What is started where no kernel is named. */
const DEFAULT_KERNEL = 'debian:trixie'

/** All, as `--help` lists them. */
export function commands(): readonly Command[] {
  return [runCommand(), buildCommand(), kernelsCommand(), pruneCommand(), doctorCommand(), explainCommand()]
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
  ...['image', 'name', 'cgroup', 'controllers', 'memoryMib', 'cpus', 'scratchMib', 'machine', 'accelerator'],
  ...['kernelArgument', 'module', 'sysctl', 'daemon', 'egress', 'bootTimeoutMs', 'timings'],
  ...NAMES_KERNEL,
]

function runCommand(): Command {
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
    .addOption(repeatable('--kernel-argument <argument>', "argument of the guest's kernel, such as panic_on_warn=1"))
    .addOption(repeatable('--module <name>', 'module of its kernel, loaded at boot'))
    .option('--sysctl <key=value>', 'set at boot, such as net.ipv4.ip_forward=1; may be repeated', assignment)
    .option('--daemon <json>', "keys of the guest's daemon.json, such as '{\"live-restore\": true}'", jsonObject)
    .option('--egress <where>', 'what the guest may reach: all, none, or HOST, CIDR, :PORT; may be repeated', egress)
    .option('--name <name>', 'hostname of the guest', 'kernel')
    .option('--memory-mib <mib>', 'memory of the guest in MiB', wholeNumber)
    .option('--cpus <number>', 'virtual CPUs', wholeNumber)
    .option('--scratch-mib <mib>', "size of the guest's writable disk in MiB", wholeNumber)
    .addOption(machineOption())
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
      if (matrix !== undefined) {
        if (command.length === 0) self.error("error: option '--matrix' needs a command after --")
        return await execute(self, async (working) => {
          const { runMatrix } = await import('./run-matrix.ts')
          const order = parallel ? 'parallel' : 'in-turn'
          const template = one.template ? 'as-entries-say' : 'never'
          return await runMatrix({ file: matrix, order, template, command, ...working })
        })
      }
      if (parallel) self.error("error: option '--parallel' needs --matrix")
      const { name, image, kernel, config, timings, progress: _, kernelArgument, module, sysctl, ...rest } = one
      const options = { ...rest, kernelArguments: kernelArgument, modules: module, sysctls: sysctl }
      const namesKernel = ['image', ...NAMES_KERNEL].some((option) => self.getOptionValueSource(option) === 'cli')
      // A command would want the input for itself.
      const fromPipe = !namesKernel && command.length === 0 && inputIsPipe()
      await execute(self, async (working) => {
        const { run } = await import('./run.ts')
        return await run({ name, image: fromPipe ? '-' : image, kernel, config, options, timings, command, ...working })
      })
    })
}

/** Whether standard input is the end of a shell's pipe, as in `testkernels build | testkernels run`. */
function inputIsPipe(): boolean {
  return fstatSync(0).isFIFO()
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

function explainCommand(): Command {
  return new Command('explain')
    .description('Print what causes an error, what to do about it, and how it reads.')
    .argument('<code>', 'what an error has in brackets, such as VM_DIED')
    .action(async (code: string) => {
      const report = (line: string) => void process.stderr.write(`${line}\n`)
      process.exitCode = await exitStatusOf(
        async () => {
          const { explain } = await import('./explain.ts')
          process.stdout.write(explain(code))
          return 0
        },
        { report },
      )
    })
}

function doctorCommand(): Command {
  return new Command('doctor')
    .description('Look at all that a start needs, and say what to do about what is missing.')
    .option('--json', 'print { checks: [{ id, status, message, remedy }] } and nothing else')
    .action(async ({ json }: { json?: true }, self: Command) => {
      const report = (line: string) => void process.stderr.write(`${line}\n`)
      const signal = exitOnSignals(report)
      process.exitCode = await exitStatusOf(
        async () => {
          const { doctor } = await import('./doctor.ts')
          const debug = self.optsWithGlobals()['debug'] === true
          return await doctor({ form: json ? 'json' : 'text', debug, kernel: DEFAULT_KERNEL, signal })
        },
        { signal, report },
      )
    })
}

/** Options that more than one command has. */
const kernelOption = () =>
  new Option('--kernel <reference>', 'kernel of the guest, such as debian:bookworm or source:debian/trixie').default(
    DEFAULT_KERNEL,
  )

const configOption = () =>
  repeatable('--config <fragment>', 'for a kernel from source: cgroup-v1, kasan, debug, btf or a file')

const rootfsOption = () =>
  new Option('--rootfs <reference>', 'root file system: debian:SUITE, docker-image://REF, dockerfile:PATH, file://PATH')

const machineOption = () =>
  new Option('--machine <kind>', "where the guest's devices are: auto (by the kernel's config), mmio or pci")

const initOption = () =>
  new Option('--init <command>', 'what the guest runs in place of dockerd: words, or a JSON array').argParser(words)

const progressOption = () =>
  new Option('--progress <kind>', 'how builds are shown; auto is tty on a terminal, else plain').choices(progressKinds)

function repeatable(flags: string, description: string): Option {
  return new Option(flags, `${description}; may be repeated`).argParser(repeated).default([], 'none')
}

function repeated(value: string, former: readonly string[] | undefined): readonly string[] {
  return [...(former ?? []), value]
}

function assignment(text: string, former: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('must be KEY=VALUE.')
  return { ...former, [text.slice(0, at)]: text.slice(at + 1) }
}

function egress(value: string, former?: string | readonly string[]): string | readonly string[] {
  return ['all', 'none'].includes(value) ? value : repeated(value, [former ?? []].flat())
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.')
  return Number(text)
}

/** `sleep infinity`, or `["sleep", "infinity"]` for words with blanks in them. */
function words(text: string): readonly string[] {
  if (!text.trimStart().startsWith('[')) return text.trim().split(/\s+/)
  const parsed = fromJson(text)
  if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed
  throw new InvalidArgumentError('must be words, or a JSON array of strings.')
}

function jsonObject(text: string): object {
  const parsed = fromJson(text)
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw new InvalidArgumentError('must be a JSON object.')
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
