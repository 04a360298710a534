import { InvalidOptionError } from '../options/index.ts'

/** What one run of the command says of a candidate, and all of its runs together. `skip`: nothing. */
export type Verdict = 'good' | 'bad' | 'skip'

/** One run of the command on one candidate. */
export interface Run {
  readonly candidate: string
  readonly verdict: Verdict
  /** In a few words, for people: `exited with status 1`. */
  readonly why: string
  /** From the start of its build or boot to the end of the VM, in milliseconds. */
  readonly ms: number
}

/** What is searched. Of each candidate it is taken that all those that have it in their history are bad where it is bad. */
export interface History {
  /** Each after those that are in its history; the good end is the first, the bad end the last. */
  readonly candidates: readonly string[]
  /**
   * Those that can be the first bad one: in the history of `bad`, and not in that of any that is good. The one that halves them best
   * is the first; `bad` itself is the last.
   */
  suspects(bad: string, good: readonly string[]): Promise<readonly string[]>
  /** Whether one is in the history of the other, or is it. */
  precedes(one: string, other: string): Promise<boolean>
}

/** What is searched, and how a candidate of it becomes a kernel and is read by people. */
export interface Subject {
  readonly history: History
  /** What `--kernel` takes. @param directory for files that it is made of, as long as the search goes on */
  referenceOf(candidate: string, directory: string): Promise<string>
  titleOf(candidate: string): Promise<string>
  /** What changed with a candidate; empty where nobody says so. */
  logOf(first: string, lastGood: string): Promise<string>
}

export type End = 'good' | 'bad'

export interface Rules {
  /** How often the command runs on each candidate, which is bad if any of these runs is bad. */
  readonly runs: number
  /**
   * Whether the command is seen to pass on the good end and to fail on the bad end: `last`, where the answer rests on what was said
   * of that end, so that it costs one candidate more at the most; `first`, before the search; or `never`.
   */
  readonly verifyEnds: 'last' | 'first' | 'never'
}

export type Step =
  /** The command is to run on this one: one of so many that can be the first bad one, or an end that is verified. */
  | { readonly kind: 'run'; readonly candidate: string; readonly suspects: number; readonly end?: End }
  | { readonly kind: 'found'; readonly finding: Finding }
  /** An end is not what it was said to be: there is nothing to search. */
  | { readonly kind: 'refuted'; readonly end: End; readonly candidate: string }

export interface Finding {
  /** The first bad one; more than one where those between the last good one and the first bad one could not be judged. In order. */
  readonly suspects: readonly string[]
  /** The last in order that is good. */
  readonly lastGood: string
  /** Ends that the answer rests on and that were not verified. */
  readonly unverified: readonly End[]
}

/** What is to be done next, for all that is known from earlier runs: so a search that was ended goes on where it was. */
export async function nextStep(history: History, runs: readonly Run[], rules: Rules): Promise<Step> {
  const known = new Knowledge(history, runs, rules)
  for (const end of ['bad', 'good'] as const) {
    const candidate = known.ends[end]
    const verdict = known.verdicts.get(candidate)
    if (verdict !== undefined && verdict !== end && verdict !== 'skip') return { kind: 'refuted', end, candidate }
    if (verdict === undefined && rules.verifyEnds === 'first')
      return { kind: 'run', candidate, suspects: history.candidates.length - 1, end }
  }
  const suspects = await history.suspects(known.firstBad, known.good)
  const untried = suspects.filter((one) => one !== known.firstBad && !known.verdicts.has(one))
  const next = choose(untried, { best: suspects[0], skipped: suspects.length - 1 - untried.length })
  if (next !== undefined) return { kind: 'run', candidate: next, suspects: suspects.length }
  const resting = await known.unverifiedEnds()
  const toVerify = resting.find((end) => !known.verdicts.has(known.ends[end]))
  if (toVerify !== undefined && rules.verifyEnds !== 'never')
    return { kind: 'run', candidate: known.ends[toVerify], suspects: suspects.length, end: toVerify }
  const { candidates } = history
  const inOrder = candidates.filter((one) => suspects.includes(one))
  const lastGood = candidates.findLast((one) => known.good.includes(one)) ?? known.ends.good
  return { kind: 'found', finding: { suspects: inOrder, lastGood, unverified: resting } }
}

/** What runs say. */
class Knowledge {
  readonly verdicts: ReadonlyMap<string, Verdict>
  readonly ends: Readonly<Record<End, string>>
  readonly #history: History

  constructor(history: History, runs: readonly Run[], rules: Rules) {
    this.#history = history
    this.verdicts = verdictsOf(runs, rules)
    this.ends = { good: history.candidates[0] ?? '', bad: history.candidates.at(-1) ?? '' }
  }

  /** Each that was tried was a suspect then: the last that was found bad has all others in its history. */
  get firstBad(): string {
    const { bad } = this.ends
    return this.#with('bad').findLast((one) => one !== bad) ?? bad
  }

  get good(): readonly string[] {
    return [...new Set([this.ends.good, ...this.#with('good')])]
  }

  /** Those of which the answer needs what nobody saw. */
  async unverifiedEnds(): Promise<readonly End[]> {
    const { good, bad } = this.ends
    const isBadNeeded = this.firstBad === bad && this.verdicts.get(bad) !== 'bad'
    return [
      ...(isBadNeeded ? (['bad'] as const) : []),
      ...((await this.#isGoodNeeded(good)) ? (['good'] as const) : []),
    ]
  }

  /** Not where something that has it in its history was seen to be good. */
  async #isGoodNeeded(end: string): Promise<boolean> {
    for (const one of this.#with('good')) if (await this.#history.precedes(end, one)) return false
    return true
  }

  #with(verdict: Verdict): readonly string[] {
    return [...this.verdicts].filter(([, found]) => found === verdict).map(([candidate]) => candidate)
  }
}

const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * The best that was not tried. Where that one was skipped, those beside it are likely to be skipped as well: so one that is further
 * away, by steps that come near no former one, and more often among those that halve well.
 */
function choose(
  untried: readonly string[],
  { best, skipped }: { readonly best: string | undefined; readonly skipped: number },
): string | undefined {
  if (untried[0] === best) return untried[0]
  return untried[Math.floor(untried.length * ((skipped * GOLDEN) % 1) ** 1.5)]
}

/** In the order in which they were settled; those whose runs are not over have none. */
export function verdictsOf(runs: readonly Run[], { runs: wanted }: Pick<Rules, 'runs'>): ReadonlyMap<string, Verdict> {
  const byCandidate = new Map<string, Verdict[]>()
  for (const { candidate, verdict } of runs)
    byCandidate.set(candidate, [...(byCandidate.get(candidate) ?? []), verdict])
  const settled = new Map<string, Verdict>()
  for (const [candidate, verdicts] of byCandidate) {
    // Where one run cannot be judged, the next will not be either.
    const isSkipped = verdicts.includes('skip')
    if (!isSkipped && verdicts.length < wanted) continue
    settled.set(candidate, verdicts.includes('bad') ? 'bad' : isSkipped ? 'skip' : 'good')
  }
  return settled
}

/** Candidates in a row, each of which has all before it in its history. */
export function linearHistory(candidates: readonly string[]): History {
  const at = (candidate: string) => candidates.indexOf(candidate)
  return {
    candidates,
    async suspects(bad, good) {
      const range = candidates.slice(Math.max(...good.map(at)) + 1, at(bad) + 1)
      const halving = new Map(range.map((one, index) => [one, Math.min(index + 1, range.length - 1 - index)]))
      return range.toSorted((one, other) => (halving.get(other) ?? 0) - (halving.get(one) ?? 0))
    },
    precedes: async (one, other) => at(one) <= at(other),
  }
}

/** Kernels as a user names them, in their order. @throws InvalidOptionError for one that is there twice */
export function namedSubject(kernels: readonly string[]): Subject {
  const twice = kernels.find((kernel, at) => kernels.indexOf(kernel) !== at)
  if (twice !== undefined) {
    throw new InvalidOptionError({
      what: `${twice} is named twice`,
      remedy: 'name each kernel once: --good, those in between in their order, and --bad',
    })
  }
  return {
    history: linearHistory(kernels),
    referenceOf: async (kernel) => kernel,
    titleOf: async (kernel) => kernel,
    logOf: async () => '',
  }
}

/** How far the answer can be believed where bad candidates do not fail each time. */
export interface Confidence {
  /** Runs of those that are bad, and how many of them were. */
  readonly badRuns: number
  readonly failedRuns: number
  /** How likely a bad candidate is to pass all its runs, if it fails as often as those did: from 0 to 1. */
  readonly missed: number
  /** How likely it is that no good verdict is such a one: from 0 to 1. */
  readonly confidence: number
}

/** @returns undefined where no bad run was seen */
export function confidenceIn(runs: readonly Run[], rules: Pick<Rules, 'runs'>): Confidence | undefined {
  const verdicts = verdictsOf(runs, rules)
  const ofBad = runs.filter(({ candidate, verdict }) => verdicts.get(candidate) === 'bad' && verdict !== 'skip')
  if (ofBad.length === 0) return undefined
  const failedRuns = ofBad.filter(({ verdict }) => verdict === 'bad').length
  const missed = (1 - failedRuns / ofBad.length) ** rules.runs
  const good = [...verdicts.values()].filter((verdict) => verdict === 'good').length
  return { badRuns: ofBad.length, failedRuns, missed, confidence: (1 - missed) ** good }
}
