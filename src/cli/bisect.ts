import { createHash } from 'node:crypto'
import { join, resolve } from 'node:path'
import {
  type Attempt,
  answerOf,
  answerText,
  bisect,
  debianSubject,
  type Finding,
  type GitRange,
  namedSubject,
  type Rules,
  type Run,
  SavedRuns,
  type Subject,
  treeSubject,
} from '../bisect/index.ts'
import { SolveError } from '../buildkit/index.ts'
import { TestkernelsError } from '../errors/index.ts'
import { removeOlder } from '../files/index.ts'
import { RunLogs } from '../matrix/index.ts'
import { InvalidOptionError, type KernelEntry, parseKernelEntry, withConfig } from '../options/index.ts'
import { newStart, openSession, prepareImage, type Session } from '../vm/index.ts'
import { shownStep, type Working } from './execute.ts'
import { type Outcome, runInVm } from './run-in-vm.ts'

/** Exit status when kernels that could not be judged are between the last good and the first bad one, as that of `git bisect run`. */
const EXIT_ONE_OF_SEVERAL = 2

/** A search that nobody went on with for so long is given up; that of a tree has a copy of it. */
const KEPT_MS = 30 * 24 * 3_600_000

/** The command ended in a way that says nothing of the kernel. */
export class BisectCommandError extends TestkernelsError {
  readonly code = 'BISECT_COMMAND'
}

export interface BisectArguments extends Working {
  readonly ends: { readonly good: string; readonly bad: string }
  /** Kernels between them. @default the versions that the Debian archive has, or the commits of the tree */
  readonly between: readonly string[]
  readonly tree: { readonly path: string; readonly follow: GitRange['follow'] } | undefined
  readonly rules: Rules
  readonly verdicts: Verdicts
  readonly saved: {
    /** @default by what is asked, in the cache */
    readonly directory: string | undefined
    readonly earlier: 'go on' | 'give up'
  }
  /** Fragments of the kernels' configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  readonly form: 'text' | 'json'
  readonly command: readonly string[]
}

/** What is made of what the command does not tell. */
interface Verdicts {
  readonly kernelReports: 'bad' | 'ignore'
  readonly vmDeath: 'bad' | 'skip'
  readonly buildFailure: 'skip' | 'bad'
  readonly bootFailure: 'skip' | 'bad'
}

/**
 * Finds the first kernel on which the command fails, and prints it with its log.
 * @returns 0; 2 where it is one of several, because those before it could not be judged
 * @throws InvalidOptionError, UnknownKernelError before anything is built; BisectEndError; BisectCommandError; CommandNotFoundError;
 * InterruptedError, after which the same call goes on
 */
export async function bisectKernels(args: BisectArguments): Promise<number> {
  const { settings, log, progress, signal, rules, form } = args
  // All that can be known to be wrong without an engine.
  const named = await subjectOfMachine(args)
  const session = await openSession({ settings, log, signal, onBuildStatus: progress.update.bind(progress) })
  const subject = named ?? (await debianSubject({ session, ...debianEnds(args) }, { log, signal }))
  const question = questionOf(args)
  const searches = join(settings.cacheDirectory, 'bisect')
  await removeOlder(searches, { keptMs: KEPT_MS })
  const directory = resolve(args.saved.directory ?? join(searches, question.slice(0, 16)))
  // Two that search for the same would check commits out over each other.
  await using _lock = await session.host.lock(`bisect ${directory}`, { what: `search in ${directory}`, log, signal })
  if (args.saved.earlier === 'give up') await SavedRuns.giveUp(directory)
  const saved = await SavedRuns.open(directory, question, subject.history.candidates)
  if (saved.runs.length > 0)
    log.info(`going on with an earlier search; runs known: ${saved.runs.length} (${directory}); --restart begins anew`)
  const logs = new RunLogs({ cacheDirectory: settings.cacheDirectory, log })
  const attempt = (one: Attempt) => tryCandidate(one, { session, subject, saved, logs, args })
  const tell = async (finding: Finding) => {
    progress.end()
    const answer = await answerOf(finding, { subject, runs: saved.runs, rules, log, signal })
    process.stdout.write(form === 'json' ? `${JSON.stringify(answer, undefined, 2)}\n` : answerText(answer))
    return finding.suspects.length === 1 ? 0 : EXIT_ONE_OF_SEVERAL
  }
  try {
    return await bisect({ subject, rules, saved, attempt, tell })
  } finally {
    if (signal.aborted) log.info(`runs known: ${saved.runs.length} (${directory}); the same command goes on from there`)
  }
}

/** Undefined where the Debian archive is to be asked. */
async function subjectOfMachine(args: BisectArguments): Promise<Subject | undefined> {
  const { ends, between, tree, settings, signal } = args
  const kernels = [ends.good, ...between, ends.bad]
  if (tree !== undefined) {
    const path = resolve(tree.path)
    entryOf(`source:${path}`, args)
    const { environment } = settings
    return await treeSubject(path, { ...ends, follow: tree.follow }, { environment, signal })
  }
  for (const kernel of kernels) entryOf(kernel, args)
  if (between.length > 0) return namedSubject(kernels)
  debianEnds(args)
  return undefined
}

function debianEnds(args: BisectArguments) {
  const [good, bad] = [args.ends.good, args.ends.bad].map((kernel) => entryOf(kernel, args).reference)
  if (good?.kind === 'debian' && bad?.kind === 'debian') return { good, bad }
  throw new InvalidOptionError({
    what: `nobody knows which kernels are between ${args.ends.good} and ${args.ends.bad}`,
    remedy: "name two versions of Debian's, such as debian:bookworm@6.1.170, or each kernel in between with --between",
  })
}

/** @param candidate what the entry is named after */
function entryOf(kernel: string, { options, config, verdicts }: BisectArguments, candidate = kernel): KernelEntry {
  // What hosts can be called, with room for the number of a run.
  const name = candidate
    .replaceAll(/[^A-Za-z0-9.-]+/g, '-')
    .slice(-56)
    .replace(/^[^A-Za-z0-9]+/, '')
  const reports = verdicts.kernelReports === 'ignore' ? { kernelReports: 'ignore' } : {}
  return parseKernelEntry(name, { ...options, ...reports, kernel: withConfig(kernel, config) })
}

/** Stands for all that makes the runs of two searches comparable. Which kernels there are may change between them. */
function questionOf({ ends, between, tree, rules, verdicts, config, options, command }: BisectArguments): string {
  const searched = tree === undefined ? [ends, between] : [ends, resolve(tree.path), tree.follow]
  const asked = [searched, rules, verdicts, config, options, command, process.cwd()]
  return createHash('sha256').update(JSON.stringify(asked)).digest('hex')
}

interface Trial {
  readonly session: Session
  readonly subject: Subject
  readonly saved: SavedRuns
  readonly logs: RunLogs
  readonly args: BisectArguments
}

async function tryCandidate({ candidate, run, suspects, end }: Attempt, trial: Trial): Promise<Run> {
  const { subject, saved, args } = trial
  const { log, rules } = args
  const title = await subject.titleOf(candidate)
  const nth = rules.runs === 1 ? '' : `, run ${run} of ${rules.runs}`
  const why =
    end === undefined ? `one of ${suspects} that can be the first bad one` : `to see that the ${end} end is ${end}`
  log.info(`trying ${title}${nth}, ${why}`)
  const fromMs = performance.now()
  const entry = entryOf(await subject.referenceOf(candidate, saved.files), args, candidate)
  const hostname = rules.runs === 1 ? entry.name : `${entry.name}-${run}`
  const judged = await judge({ entry, title: `${title}${nth}`, hostname }, trial)
  log.info(`${judged.verdict}: ${title}${nth}: ${judged.why}`)
  return { candidate, ...judged, ms: Math.round(performance.now() - fromMs) }
}

interface Named {
  readonly entry: KernelEntry
  readonly title: string
  readonly hostname: string
}

type Judged = Pick<Run, 'verdict' | 'why'>

async function judge({ entry, title, hostname }: Named, { session, logs, args }: Trial): Promise<Judged> {
  const { log, settings, signal, command, verdicts } = args
  const start = newStart(session, { hostname, log: log.named(hostname), signal })
  const image = await prepareImage({ session, entry }, start).catch((thrown) => notMade(thrown, 'built', args))
  if ('verdict' in image) return image
  using step = shownStep(`[bisect] ${title}: ${command.join(' ')}`, args.progress)
  const running = runInVm({ session, entry, image: image.ref }, start, {
    command,
    environment: settings.environment,
    output: step,
    onStarted: async (vm) => {
      step.begin()
      await logs.follow(vm)
    },
    onEnded: (vm) => logs.keep(vm),
  })
  const outcome = await running.catch((thrown) => notMade(thrown, 'booted', args))
  signal.throwIfAborted()
  // An engine that went away took the VM with it: asked, it says so.
  await session.host.images.inspect(image.ref)
  // A terminal's Ctrl-C ends the command as well, and no word of the kernel's is in that.
  signal.throwIfAborted()
  return 'verdict' in outcome ? outcome : judgeOutcome(outcome, verdicts)
}

/** What a kernel may be to blame for: other errors are of this machine, and would be those of the next kernel as well. */
const OF_KERNELS = {
  built: ['SOLVE_FAILED', 'KERNEL_UNSUITABLE', 'IMAGE_UNUSABLE', 'UNKNOWN_KERNEL'],
  booted: ['BOOT_TIMEOUT', 'NO_SIGN_OF_LIFE', 'DOCKERD_FAILED', 'VM_DIED', 'GUEST_MISBEHAVED', 'VM_NOT_READY'],
}

function notMade(thrown: unknown, step: keyof typeof OF_KERNELS, { verdicts, log, signal }: BisectArguments): Judged {
  signal.throwIfAborted()
  if (!(thrown instanceof TestkernelsError && OF_KERNELS[step].includes(thrown.code)) || isOfMachine(thrown))
    throw thrown
  log.warn(thrown.message)
  const verdict = step === 'built' ? verdicts.buildFailure : verdicts.bootFailure
  return { verdict, why: `it could not be ${step}: ${thrown.what}` }
}

/** A build that no step of it ended, or that found the disk full. */
export function isOfMachine(thrown: unknown): boolean {
  if (!(thrown instanceof SolveError)) return false
  return thrown.exitCode === undefined || thrown.logTail.some((line) => line.includes('No space left on device'))
}

/** @throws BisectCommandError for what shells say of a command that they could not run, and for signals */
export function judgeOutcome(
  outcome: Outcome,
  { kernelReports, vmDeath }: Pick<Verdicts, 'kernelReports' | 'vmDeath'>,
): Judged {
  if (outcome.kind === 'vm-failed') return { verdict: vmDeath, why: outcome.why }
  const { status, reported } = outcome
  if (status >= 126) {
    throw new BisectCommandError({
      what: `the command ended with status ${status}, which is no verdict on a kernel`,
      remedy:
        'correct the command, and start the same search again: it goes on. 0 is good, 125 skips a kernel, 1 to 124 are bad',
    })
  }
  if (status === 125) return { verdict: 'skip', why: 'the command skipped it' }
  if (status !== 0) return { verdict: 'bad', why: `the command ended with status ${status}` }
  if (reported.length > 0 && kernelReports === 'bad')
    return { verdict: 'bad', why: `the kernel reported ${reported.join(', ')}` }
  return { verdict: 'good', why: 'the command passed' }
}
