#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { commands } from './commands.ts'
import { EXIT_OWN_FAILURE } from './execute.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const program = new Command('testkernels')
  .description('Run commands and tests against a real dockerd on the Linux kernel and cgroup version of your choice.')
  .version(version)
  .enablePositionalOptions()
  .option('--debug', 'show what helps to find a fault')

for (const command of commands()) program.addCommand(command)

for (const command of [program, ...program.commands, ...program.commands.flatMap((one) => one.commands)]) {
  command
    .showHelpAfterError('(testkernels --help shows all options)')
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_OWN_FAILURE))
}

// Not awaited: what a command imports may import this file, into which the build has put what all commands share.
void program.parseAsync()
