import { reasonOf } from '../../errors/index.ts'
import { Slots } from '../../lifetime/index.ts'
import { RunLogs } from '../../matrix/index.ts'
import { type KernelEntry, kernelText } from '../../options/index.ts'
import { launchVm, newStart, openSession, type Session, type StartedKernelVm } from '../../vm/index.ts'
import { runCommand } from '../command.ts'
import type { Working } from '../execute.ts'
import { EXIT_OWN_FAILURE } from '../exit.ts'
import { loadMatrix } from './config-file.ts'
import { type EntryResult, isPassed, type Outcome, summaryLines } from './result.ts'

/** Exit status when a command failed for some entry. */
const EXIT_FAILED = 1

export interface RunMatrixArguments extends Working {
  /** The file that exports the matrix. */
  readonly file: string
  readonly order: 'in-turn' | 'parallel'
  /** `never`: all entries boot cold, whatever they say. */
  readonly template: 'as-entries-say' | 'never'
  readonly command: readonly string[]
}

/**
 * Runs the command once for each entry, and ends with a table of how it went.
 * @returns 0 when it passed for all; 1 when it failed for some; 125 when only VMs failed
 * @throws MatrixFileError, InvalidOptionError, ... before anything starts; InterruptedError after the table
 */
export async function runMatrix({ file, order, template, command, ...working }: RunMatrixArguments): Promise<number> {
  const { settings, log, signal } = working
  const entries = (await loadMatrix(file)).map((entry) =>
    template === 'never' ? { ...entry, template: false } : entry,
  )
  const session = await openSession({ settings, log, signal })
  // A boot keeps a core busy: more of them at a time than there are cores would be no faster.
  const slots = new Slots(order === 'parallel' ? Math.max(2, session.host.cores) : 1)
  const logs = new RunLogs({ cacheDirectory: settings.cacheDirectory, log })
  const results = await Promise.all(
    entries.map((entry) => runEntry({ entry, session, command, logs, slots, ...working })),
  )
  for (const line of ['', ...summaryLines(results)]) log.info(line)
  signal.throwIfAborted()
  if (results.every(isPassed)) return 0
  return results.some(({ outcome }) => outcome.kind === 'exited' && outcome.status !== 0)
    ? EXIT_FAILED
    : EXIT_OWN_FAILURE
}

interface EntryRun extends Working {
  readonly entry: KernelEntry
  readonly session: Session
  readonly command: readonly string[]
  readonly logs: RunLogs
  readonly slots: Slots
}

/** Never fails: what goes wrong with one entry is its result, and the others go on. */
async function runEntry({ slots, ...run }: EntryRun): Promise<EntryResult> {
  const { entry, log, signal } = run
  const result = { entry: entry.name, kernel: kernelText(entry.kernel) }
  let fromMs = performance.now()
  try {
    using _slot = await slots.take(signal)
    fromMs = performance.now()
    return { ...result, outcome: await runInVm(run), ms: performance.now() - fromMs }
  } catch (thrown) {
    if (signal.aborted) return { ...result, outcome: { kind: 'not-run' }, ms: 0 }
    const why = reasonOf(thrown)
    log.named(entry.name).info(why)
    return { ...result, outcome: { kind: 'vm-failed', why: firstLine(why) }, ms: performance.now() - fromMs }
  }
}

async function runInVm({
  entry,
  session,
  command,
  logs,
  log,
  progress,
  settings,
  signal,
}: Omit<EntryRun, 'slots'>): Promise<Outcome> {
  const named = log.named(entry.name)
  const onBuildStatus = progress.update.bind(progress)
  const start = newStart({ hostname: entry.name, log: named, signal, onBuildStatus })
  await using vm = await launchVm({ session, entry }, start)
  await logs.follow(vm)
  const status = await runCommand({
    vm: { environment: { ...vm.environment, TESTKERNELS_ENTRY: entry.name }, gone: vm.gone },
    argv: command,
    environment: settings.environment,
    // A command that waits for a VM that is gone would keep the others from their turn.
    signal: AbortSignal.any([signal, vm.gone]),
    output: prefixed(entry.name),
  })
  await logs.keep(vm)
  return vm.gone.aborted ? { kind: 'vm-failed', why: whyGone(vm) } : { kind: 'exited', status }
}

function whyGone({ gone }: StartedKernelVm): string {
  return firstLine(reasonOf(gone.reason))
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text
}

function prefixed(name: string) {
  return {
    stdout: (line: string) => void process.stdout.write(`[${name}] ${line}\n`),
    stderr: (line: string) => void process.stderr.write(`[${name}] ${line}\n`),
  }
}
