#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import { build } from './build.ts'
import { EXIT_OWN_FAILURE, exitOnSignals, exitStatusOf } from './exit.ts'
import { prune } from './prune.ts'
import { run } from './run.ts'
import { openTerminal, type Terminal } from './terminal.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const kernel = () =>
  new Option('--kernel <reference>', 'kernel of the guest, such as debian:bookworm or source:debian/trixie').default(
    'debian:trixie',
  )
const config = () =>
  new Option('--config <fragment>', 'for a kernel from source: cgroup-v1, kasan, debug, btf or a file; may be repeated')
    .argParser((fragment, former: string[]) => [...former, fragment])
    .default([], 'none')

const program = new Command('testkernels')
  .description('Run commands and tests against a real dockerd on the Linux kernel and cgroup version of your choice.')
  .version(version)
  .enablePositionalOptions()
  .option('--debug', 'show what helps to find a fault')
  .showHelpAfterError('(testkernels --help shows all options)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_OWN_FAILURE))

program
  .command('run')
  .description('Start a VM and run a command with DOCKER_HOST pointing at its dockerd; without a command, stay up.')
  .addOption(kernel())
  .addOption(config())
  .option('--cgroup <version>', 'cgroup version of the guest, 1 or 2', wholeNumber, 2)
  .option('--controllers <which>', 'cgroup controllers that the kernel must have: all or partial')
  .option('--name <name>', 'hostname of the guest', 'kernel')
  .option('--memory-mib <mib>', 'memory of the guest in MiB', wholeNumber)
  .option('--cpus <number>', 'virtual CPUs', wholeNumber)
  .option('--scratch-mib <mib>', "size of the guest's writable disk in MiB", wholeNumber)
  .option('--accelerator <kind>', 'auto, kvm or tcg (software emulation)')
  .option('--boot-timeout-ms <ms>', "longest wait for the guest's dockerd in milliseconds", wholeNumber)
  .argument('[command...]', 'command and its arguments, after --')
  .passThroughOptions()
  .action(async (command: string[], { name, kernel: reference, config: fragments, ...options }) => {
    await execute((terminal) => run({ name, kernel: reference, config: fragments, options, command, ...terminal }))
  })

program
  .command('build')
  .description("Build a kernel's image, if it is not there, and print its id.")
  .addOption(kernel())
  .addOption(config())
  .option('-t, --tag <tag>', 'a further name for the image')
  .action(async ({ kernel: reference, config: fragments, tag }) => {
    await execute((terminal) => build({ kernel: reference, config: fragments, tag, ...terminal }))
  })

program
  .command('prune')
  .description('Remove what killed or crashed runs left behind.')
  .option('--all', 'also remove images and caches, which the next run makes anew')
  .action(async ({ all }) => {
    await execute((terminal) => prune({ caches: all ? 'remove' : 'keep', ...terminal }))
  })

/** Sets the exit status, and lets the process end by itself: what still runs then is a leak that shows. */
async function execute(work: (terminal: Terminal & { signal: AbortSignal }) => Promise<number>): Promise<void> {
  const signal = exitOnSignals()
  const report = (line: string) => void process.stderr.write(`${line}\n`)
  process.exitCode = await exitStatusOf(
    async () => {
      const terminal = openTerminal({ debug: program.opts()['debug'] === true })
      try {
        return await work({ ...terminal, signal })
      } finally {
        terminal.progress.end()
      }
    },
    { signal, report },
  )
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.')
  return Number(text)
}

await program.parseAsync()
