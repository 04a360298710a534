import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  confidenceIn,
  type Finding,
  type History,
  linearHistory,
  nextStep,
  type Rules,
  type Run,
  type Step,
  type Verdict,
  verdictsOf,
} from './search.ts'

const once: Rules = { runs: 1, verifyEnds: 'last' }
const names = (count: number) => Array.from({ length: count }, (_, at) => `v${at}`)

interface Search {
  readonly last: Exclude<Step, { kind: 'run' }>
  readonly runs: readonly Run[]
  readonly tried: readonly string[]
}

/** @param judge what each run of a candidate comes to, by its number from 0 */
async function search(
  history: History,
  judge: (candidate: string, run: number) => Verdict,
  { rules = once, known = [] }: { readonly rules?: Rules; readonly known?: readonly Run[] } = {},
): Promise<Search> {
  const runs = [...known]
  for (;;) {
    const step = await nextStep(history, runs, rules)
    if (step.kind !== 'run') return { last: step, runs, tried: [...new Set(runs.map(({ candidate }) => candidate))] }
    const number = runs.filter(({ candidate }) => candidate === step.candidate).length
    runs.push({ candidate: step.candidate, verdict: judge(step.candidate, number), why: '', ms: 1 })
    expect(runs.length).toBeLessThanOrEqual(history.candidates.length * rules.runs)
  }
}

function found({ last }: Search): Finding {
  if (last.kind !== 'found') throw new Error(`nothing was found: ${JSON.stringify(last)}`)
  return last.finding
}

const badFrom = (candidates: readonly string[], first: string) => (candidate: string) =>
  candidates.indexOf(candidate) >= candidates.indexOf(first) ? 'bad' : 'good'

/** How many candidates there are, which is the first bad one, and which cannot be judged. */
const row = fc.integer({ min: 2, max: 70 }).chain((count) =>
  fc.record({
    count: fc.constant(count),
    first: fc.integer({ min: 1, max: count - 1 }),
    skipped: fc.uniqueArray(fc.nat(count - 1)),
  }),
)

describe('candidates in a row', () => {
  test('the first bad one is found, seen bad after one that was seen good, in log2 of their number and one more', async () => {
    await fc.assert(
      fc.asyncProperty(row, async ({ count, first }) => {
        const candidates = names(count)
        const result = await search(linearHistory(candidates), badFrom(candidates, `v${first}`))
        expect(found(result)).toEqual({ suspects: [`v${first}`], lastGood: `v${first - 1}`, unverified: [] })
        const verdicts = verdictsOf(result.runs, once)
        expect([verdicts.get(`v${first}`), verdicts.get(`v${first - 1}`)]).toEqual(['bad', 'good'])
        // Of two candidates, both are ends.
        expect(result.tried.length).toBeLessThanOrEqual(count === 2 ? 2 : Math.ceil(Math.log2(count - 1)) + 1)
      }),
    )
  })

  test.each([
    [10, 5],
    [16, 5],
  ])('of %i it takes %i at the most', async (count, most) => {
    const candidates = names(count)
    for (const first of candidates.slice(1)) {
      const { tried } = await search(linearHistory(candidates), badFrom(candidates, first))
      expect(tried.length).toBeLessThanOrEqual(most)
    }
  })

  test('where some cannot be judged, the first bad one is among those that are named, between a good and a bad one', async () => {
    await fc.assert(
      fc.asyncProperty(row, async ({ count, first, skipped }) => {
        const candidates = names(count)
        const isSkipped = (one: string) => skipped.some((at) => one === `v${at}`)
        const judge = (one: string) => (isSkipped(one) ? 'skip' : badFrom(candidates, `v${first}`)(one))
        const result = await search(linearHistory(candidates), judge)
        const { suspects, lastGood, unverified } = found(result)
        expect(suspects).toContain(`v${first}`)
        expect(suspects.slice(0, -1).every(isSkipped)).toBe(true)
        const from = candidates.indexOf(lastGood) + 1
        expect(suspects).toEqual(candidates.slice(from, from + suspects.length))
        expect(unverified.includes('good')).toBe(lastGood === 'v0' && isSkipped('v0'))
      }),
    )
  })

  test('it does not try all of many that cannot be judged when one far away can', async () => {
    const candidates = names(1_000)
    const judge = (one: string) => {
      const at = candidates.indexOf(one)
      return at > 300 && at < 700 ? 'skip' : at < 750 ? 'good' : 'bad'
    }
    const result = await search(linearHistory(candidates), judge)
    expect(found(result).suspects).toEqual(['v750'])
    expect(result.tried.length).toBeLessThan(30)
  })

  test('a search that was ended after any run goes on as if it had not been', async () => {
    await fc.assert(
      fc.asyncProperty(row, fc.integer({ min: 1, max: 3 }), fc.nat(), async ({ count, first, skipped }, runs, cut) => {
        const candidates = names(count)
        const judge = (one: string) =>
          skipped.some((at) => one === `v${at}`) ? 'skip' : badFrom(candidates, `v${first}`)(one)
        const rules = { runs, verifyEnds: 'first' } as const
        const whole = await search(linearHistory(candidates), judge, { rules })
        const known = whole.runs.slice(0, cut % (whole.runs.length + 1))
        const resumed = await search(linearHistory(candidates), judge, { rules, known })
        expect(resumed).toEqual(whole)
      }),
    )
  })
})

describe('the ends', () => {
  const candidates = names(9)

  test('are verified first where that is asked for', async () => {
    const { tried } = await search(linearHistory(candidates), badFrom(candidates, 'v4'), {
      rules: { runs: 1, verifyEnds: 'first' },
    })
    expect(tried.slice(0, 2)).toEqual(['v8', 'v0'])
  })

  test.each(['first', 'last'] as const)(
    'that are not what they were said to be are refuted (%s)',
    async (verifyEnds) => {
      const rules = { runs: 1, verifyEnds }
      const allGood = await search(linearHistory(candidates), () => 'good', { rules })
      expect(allGood.last).toEqual({ kind: 'refuted', end: 'bad', candidate: 'v8' })
      const allBad = await search(linearHistory(candidates), () => 'bad', { rules })
      expect(allBad.last).toEqual({ kind: 'refuted', end: 'good', candidate: 'v0' })
    },
  )

  test('are believed where nobody wants them verified, and that is told', async () => {
    const rules = { runs: 1, verifyEnds: 'never' } as const
    const allGood = await search(linearHistory(candidates), () => 'good', { rules })
    expect(found(allGood)).toEqual({ suspects: ['v8'], lastGood: 'v7', unverified: ['bad'] })
    const allBad = await search(linearHistory(candidates), () => 'bad', { rules })
    expect(found(allBad)).toEqual({ suspects: ['v1'], lastGood: 'v0', unverified: ['good'] })
  })

  test('that cannot be judged are told of', async () => {
    const judge = (one: string) => (one === 'v8' ? 'skip' : 'good')
    expect(found(await search(linearHistory(candidates), judge)).unverified).toEqual(['bad'])
  })
})

describe('a history with merges', () => {
  /** Candidates by what each is made of; the first is the good end and the last the bad end. */
  const graph = fc
    .integer({ min: 3, max: 14 })
    .chain((count) =>
      fc
        .tuple(
          ...Array.from({ length: count - 1 }, (_, at) => fc.uniqueArray(fc.nat(at), { minLength: 1, maxLength: 3 })),
        )
        .map((parents) => [[], ...parents] as readonly (readonly number[])[]),
    )

  /** As git has it: who does what is in no history of the bad end is left out. */
  function historyOf(parents: readonly (readonly number[])[]): {
    history: History
    pastOf: (one: string) => Set<string>
  } {
    const ancestors = parents.reduce<Set<string>[]>((all, of, at) => {
      all.push(new Set([`v${at}`, ...of.flatMap((parent) => [...(all[parent] ?? [])])]))
      return all
    }, [])
    const pastOf = (one: string) => ancestors[Number(one.slice(1))] ?? new Set()
    const bad = `v${parents.length - 1}`
    const history: History = {
      candidates: names(parents.length).filter((one) => pastOf(bad).has(one)),
      async suspects(from, good) {
        const range = [...pastOf(from)].filter((one) => !good.some((other) => pastOf(other).has(one)))
        const reached = (one: string) => range.filter((other) => pastOf(one).has(other)).length
        const halving = (one: string) => Math.min(reached(one), range.length - reached(one))
        return range.toSorted((one, other) => halving(other) - halving(one))
      },
      precedes: async (one, other) => pastOf(other).has(one),
    }
    return { history, pastOf }
  }

  test('the one that all bad ones have in their history is found', async () => {
    await fc.assert(
      fc.asyncProperty(graph, fc.nat(), async (parents, pick) => {
        const { history, pastOf } = historyOf(parents)
        const culprits = history.candidates.slice(1)
        const culprit = culprits[pick % culprits.length] ?? ''
        const result = await search(history, (one) => (pastOf(one).has(culprit) ? 'bad' : 'good'))
        expect(found(result)).toMatchObject({ suspects: [culprit], unverified: [] })
      }),
    )
  })
})

describe('candidates that do not fail each time', () => {
  const rules: Rules = { runs: 5, verifyEnds: 'last' }

  test('one bad run of five is enough', async () => {
    const candidates = names(16)
    const judge = (one: string, run: number) => (candidates.indexOf(one) >= 6 && run === 3 ? 'bad' : 'good')
    const result = await search(linearHistory(candidates), judge, { rules })
    expect(found(result).suspects).toEqual(['v6'])
    const confidence = confidenceIn(result.runs, rules)
    const bad = [...verdictsOf(result.runs, rules).values()].filter((verdict) => verdict === 'bad').length
    expect(confidence).toMatchObject({ badRuns: 5 * bad, failedRuns: bad })
    // (1 - 1/5)^5
    expect(confidence?.missed).toBeCloseTo(0.328, 3)
    expect(confidence?.confidence).toBeCloseTo((1 - 0.32768) ** (result.tried.length - bad), 5)
  })

  test('a run that cannot be judged ends the runs of its candidate, and outweighs good ones alone', () => {
    const run = (verdict: Verdict): Run => ({ candidate: 'v1', verdict, why: '', ms: 1 })
    expect(verdictsOf([run('good'), run('skip')], rules).get('v1')).toBe('skip')
    expect(verdictsOf([run('bad'), run('skip')], rules).get('v1')).toBe('bad')
    expect(verdictsOf([run('bad')], rules).get('v1')).toBeUndefined()
  })

  test('where each run of the bad ones fails, there is no doubt; where none was seen, nothing to say', () => {
    const runs = ['good', 'bad'].flatMap((verdict) =>
      names(5).map(() => ({ candidate: verdict, verdict: verdict as Verdict, why: '', ms: 1 })),
    )
    expect(confidenceIn(runs, rules)).toEqual({ badRuns: 5, failedRuns: 5, missed: 0, confidence: 1 })
    expect(confidenceIn(runs.slice(0, 5), rules)).toBeUndefined()
  })
})
