import { Command, Option } from 'commander'
import { execute } from './execute.ts'
import {
  choice,
  optionsOfEntry,
  positiveNumber,
  progressOption,
  repeatable,
  templateOption,
  withEntryOptions,
} from './options.ts'

const BISECT = `Find the first kernel on which a command fails: the version of Debian's package, the commit of a git tree, or one of those that
are named. The command runs on kernels in between: with status 0 that kernel is good, with 125 it is passed over, with 1 to 124 it is
bad; any other ends the search.`

export function bisectCommand(): Command {
  const command = new Command('bisect')
    .description(BISECT.replaceAll('\n', ' '))
    .requiredOption('--good <kernel>', 'where the command passes: a kernel as --kernel takes it, or a commit of --tree')
    .requiredOption('--bad <kernel>', 'where it fails')
    .addOption(
      repeatable('--between <kernel>', "a kernel in between, in order, in place of the versions of Debian's archive"),
    )
    .addOption(
      new Option('--tree <path>', 'a git tree of kernel sources, whose commits are built').conflicts('between'),
    )
    .option('--first-parent', 'with --tree: a branch counts as the one commit that merged it')
    .option('--runs <number>', 'run the command so often on each kernel, which is bad if one run is', positiveNumber, 1)
    .addOption(
      choice('--verify-ends <when>', 'see that good is good and bad is bad; last: where the answer rests on it', [
        'last',
        'first',
        'never',
      ]),
    )
    .addOption(
      choice('--kernel-reports <verdict>', 'what a run is during which the kernel reports a fault', ['bad', 'ignore']),
    )
    .addOption(
      choice('--vm-death <verdict>', 'what a run is whose VM dies, as when its kernel panics', ['bad', 'skip']),
    )
    .addOption(choice('--build-failure <verdict>', 'what a kernel is that cannot be built', ['skip', 'bad']))
    .addOption(choice('--boot-failure <verdict>', 'what a kernel is that does not boot', ['skip', 'bad']))
    .option('--state <directory>', 'where it is kept how far the search is (default: by the arguments, in the cache)')
    .option('--restart', 'begin anew where a search with the same arguments was ended')
    .option('--json', 'print the answer as JSON and nothing else')
  return withEntryOptions(command)
    .addOption(templateOption())
    .addOption(progressOption())
    .argument('<command...>', 'command and its arguments, after --')
    .passThroughOptions()
    .action(async (argv: string[], given, self: Command) => {
      const { good, bad, between, tree, firstParent, runs, verifyEnds, ...others } = given
      const { kernelReports, vmDeath, buildFailure, bootFailure, state, restart, json, config, ...rest } = others
      const { progress: _, ...entry } = rest
      if (firstParent && tree === undefined) self.error("error: option '--first-parent' needs --tree")
      await execute(self, async (working) => {
        const { bisectKernels } = await import('./bisect.ts')
        return await bisectKernels({
          ends: { good, bad },
          between,
          tree: tree === undefined ? undefined : { path: tree, follow: firstParent ? 'first-parent' : 'all' },
          rules: { runs, verifyEnds },
          verdicts: { kernelReports, vmDeath, buildFailure, bootFailure },
          saved: { directory: state, earlier: restart ? 'give up' : 'go on' },
          config,
          options: optionsOfEntry(entry),
          form: json ? 'json' : 'text',
          command: argv,
          ...working,
        })
      })
    })
}
