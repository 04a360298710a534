import { mkdir, readFile, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { reasonOf, TestkernelsError, visible } from '../errors/index.ts'
import { replaceFile } from '../files/index.ts'
import type { Logger } from '../log/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import {
  type Confidence,
  confidenceIn,
  type End,
  type Finding,
  nextStep,
  type Rules,
  type Run,
  type Step,
  type Subject,
  type Verdict,
  verdictsOf,
} from './search.ts'

export { debianSubject } from './debian.ts'
export { type GitRange, treeSubject } from './git-tree.ts'
export { type Finding, namedSubject, type Rules, type Run, type Subject } from './search.ts'

/** An end is not what it was said to be: the command fails on the good one, or passes on the bad one. */
export class BisectEndError extends TestkernelsError {
  readonly code = 'BISECT_END'
}

export interface Bisection<T> {
  readonly subject: Pick<Subject, 'history' | 'titleOf'>
  readonly rules: Rules
  readonly saved: SavedRuns
  /** Runs the command on a candidate. What it throws ends the search, which can be gone on with. */
  readonly attempt: (attempt: Attempt) => Promise<Run>
  /** Tells the answer. Where it throws, the same search answers again at once. */
  readonly tell: (finding: Finding) => Promise<T>
}

/** A step that is a run. */
export interface Attempt extends Omit<Extract<Step, { kind: 'run' }>, 'kind'> {
  /** Of this candidate, from 1. */
  readonly run: number
}

/**
 * Finds the first bad candidate. Each run is saved before the next begins; when the answer is told, they are forgotten.
 * @returns what telling it gave
 * @throws BisectEndError; what `attempt` and `tell` throw
 */
export async function bisect<T>({ subject, rules, saved, attempt, tell }: Bisection<T>): Promise<T> {
  for (;;) {
    const step = await nextStep(subject.history, saved.runs, rules)
    switch (step.kind) {
      case 'run': {
        const run = saved.runs.filter(({ candidate }) => candidate === step.candidate).length + 1
        await saved.add(await attempt({ ...step, run }))
        continue
      }
      case 'found': {
        const told = await tell(step.finding)
        await saved.forget()
        return told
      }
      case 'refuted': {
        const error = refuted(step, await subject.titleOf(step.candidate), saved.runs)
        await saved.forget()
        throw error
      }
    }
  }
}

function refuted({ end, candidate }: Step & { kind: 'refuted' }, title: string, runs: readonly Run[]): BisectEndError {
  const ofEnd = runs.filter((run) => run.candidate === candidate)
  const { why } = ofEnd.find(({ verdict }) => verdict === 'bad') ?? ofEnd.at(-1) ?? { why: '' }
  return new BisectEndError({
    what: `the ${end} end, ${title}, is ${end === 'good' ? 'bad' : 'good'}: ${why}`,
    remedy:
      end === 'good'
        ? 'name a kernel with --good on which the command passes, or correct the command'
        : 'name a kernel with --bad on which the command fails; --runs lets it run more than once where it does not fail each time',
  })
}

/** What a search found, for programs as it is. */
export interface Answer {
  /** The first bad one; of several, those that it can be, in order: all but the last of them could not be judged. */
  readonly suspects: readonly Named[]
  readonly lastGood: Named
  /** What was tried, in the order of the history. */
  readonly tried: readonly (Named & { readonly verdict: Verdict; readonly why: string; readonly runs: number })[]
  /** How many there were, both ends included. */
  readonly candidates: number
  /** Ends that were taken as they were said to be, and that the answer rests on. */
  readonly unverified: readonly End[]
  /** Where the command ran more than once on each. */
  readonly confidence: Confidence | null
  /** What changed with the first bad one; empty where there are several, or nobody says. */
  readonly log: string
}

interface Named {
  readonly candidate: string
  readonly title: string
}

export interface AnswerOptions {
  readonly subject: Subject
  readonly runs: readonly Run[]
  readonly rules: Rules
  readonly log: Logger
  readonly signal: AbortSignal
}

export async function answerOf(
  finding: Finding,
  { subject, runs, rules, log, signal }: AnswerOptions,
): Promise<Answer> {
  const named = async (candidate: string) => ({ candidate, title: await subject.titleOf(candidate) })
  const { candidates } = subject.history
  const tried: Answer['tried'][number][] = []
  for (const [candidate, verdict] of verdictsOf(runs, rules)) {
    const own = runs.filter((run) => run.candidate === candidate)
    const why = own.find((run) => run.verdict === verdict)?.why ?? ''
    tried.push({ ...(await named(candidate)), verdict, why, runs: own.length })
  }
  const suspects = await Promise.all(finding.suspects.map(named))
  const [first, ...more] = finding.suspects
  const readLog = async () =>
    first === undefined || more.length > 0 ? '' : await subject.logOf(first, finding.lastGood)
  return {
    suspects,
    lastGood: await named(finding.lastGood),
    tried: tried.toSorted((one, other) => candidates.indexOf(one.candidate) - candidates.indexOf(other.candidate)),
    candidates: candidates.length,
    unverified: finding.unverified,
    confidence: rules.runs > 1 ? (confidenceIn(runs, rules) ?? null) : null,
    log: await readLog().catch((thrown) => {
      signal.throwIfAborted()
      log.warn(`what changed cannot be read: ${reasonOf(thrown)}`)
      return ''
    }),
  }
}

/** Of a log that people look at; programs get all of it. */
const LOG_LINES = 60

/** For people, with the answer in the first line. What others have written does nothing to their terminal. */
export function answerText({ suspects, lastGood, tried, candidates, unverified, confidence, log }: Answer): string {
  const width = Math.max(...tried.map(({ title }) => title.length))
  const lines = log.split('\n')
  const left = lines.length - LOG_LINES
  return [
    suspects.length === 1 ? `${suspects[0]?.title} is the first bad one` : 'the first bad one is one of these:',
    ...(suspects.length === 1 ? [] : suspects.map(({ title }) => `  ${title}`)),
    `the last good one is ${lastGood.title}`,
    ...unverified.map((end) => `nobody saw that the ${end} end is ${end}`),
    ...(confidence === null ? [] : [confidenceText(confidence)]),
    '',
    `tried ${tried.length} of ${candidates}:`,
    ...tried.map(({ title, verdict, why }) => `  ${verdict.padEnd(4)}  ${title.padEnd(width)}  ${why}`),
    ...(log === '' ? [] : ['', ...lines.slice(0, LOG_LINES)]),
    ...(left > 0 ? [`... and ${left} more lines, which --json has`] : []),
    '',
  ]
    .map(visible)
    .join('\n')
}

function confidenceText({ badRuns, failedRuns, missed, confidence }: Confidence): string {
  const percent = (share: number) => `${(share * 100).toFixed(1)}%`
  return `confidence ${percent(confidence)}: bad kernels failed in ${failedRuns} of ${badRuns} runs, and one that does passes all its runs in ${percent(missed)} of cases`
}

const verdict = v.picklist(['good', 'bad', 'skip'])
const run = v.object({ candidate: v.string(), verdict, why: v.string(), ms: v.number() })
const savedRuns = v.pipe(v.string(), v.parseJson(), v.object({ question: v.string(), runs: v.array(run) }))

/** The runs of one bisection, in a file that outlives our process. */
export class SavedRuns {
  readonly #directory: string
  readonly #question: string
  #runs: readonly Run[]

  private constructor(directory: string, question: string, runs: readonly Run[]) {
    this.#directory = directory
    this.#question = question
    this.#runs = runs
  }

  /**
   * @param question stands for all that makes runs comparable: what is searched, entry, rules and command
   * @param candidates of the search; runs of others, which an archive had once, are none of it
   * @throws InvalidOptionError where the directory has the runs of another question
   */
  static async open(directory: string, question: string, candidates: readonly string[]): Promise<SavedRuns> {
    await mkdir(directory, { recursive: true })
    const text = await readFile(fileIn(directory), 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code !== 'ENOENT') throw thrown
    })
    if (text === undefined) return new SavedRuns(directory, question, [])
    const saved = v.safeParse(savedRuns, text)
    const runs = saved.success ? saved.output.runs.filter(({ candidate }) => candidates.includes(candidate)) : []
    if (saved.success && saved.output.question === question) return new SavedRuns(directory, question, runs)
    throw new InvalidOptionError({
      what: `${directory} has the state of another bisection`,
      remedy: 'name another directory with --state, or give it up with --restart',
    })
  }

  /** A directory for what kernels are made of. */
  get files(): string {
    return join(this.#directory, FILES)
  }

  /** In the order in which they ended. */
  get runs(): readonly Run[] {
    return this.#runs
  }

  async add(run: Run): Promise<void> {
    this.#runs = [...this.#runs, run]
    await replaceFile(fileIn(this.#directory), JSON.stringify({ question: this.#question, runs: this.#runs }))
  }

  /** With the files that kernels were made of. A directory with something else in it stays. */
  async forget(): Promise<void> {
    await rm(this.files, { recursive: true, force: true })
    await rm(fileIn(this.#directory), { force: true })
    await rmdir(this.#directory).catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code !== 'ENOTEMPTY' && thrown.code !== 'ENOENT') throw thrown
    })
  }

  /** Of another question as well. */
  static async giveUp(directory: string): Promise<void> {
    await rm(fileIn(directory), { force: true })
  }
}

/** Whatever else a directory has that somebody names, this is no file of theirs. */
const FILES = 'testkernels-bisect-files'

function fileIn(directory: string): string {
  return join(directory, 'testkernels-bisect.json')
}
