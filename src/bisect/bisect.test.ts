import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../log/index.ts'
import { type Attempt, answerOf, answerText, bisect, namedSubject, type Rules, type Run, SavedRuns } from './index.ts'
import type { Verdict } from './search.ts'

const candidates = ['v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8', 'v9']
const once: Rules = { runs: 1, verifyEnds: 'last' }
const badFrom = (first: number) => (candidate: string) => (candidates.indexOf(candidate) >= first ? 'bad' : 'good')
let directory = ''
let state = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-bisect-'))
  state = join(directory, 'state')
})

afterEach(() => rm(directory, { recursive: true }))

class Killed extends Error {}

/** Searches in the state's directory, as a process does. @param killedAt number of the run in which it is killed */
async function search(
  judge: (candidate: string) => Verdict,
  { rules = once, killedAt = Infinity, isTold = true, there = candidates } = {},
) {
  const attempts: Attempt[] = []
  const finding = await bisect({
    subject: namedSubject(there),
    rules,
    saved: await SavedRuns.open(state, 'question', there),
    attempt: async (attempt) => {
      attempts.push(attempt)
      if (attempts.length > killedAt) throw new Killed()
      const { candidate } = attempt
      return { candidate, verdict: judge(candidate), why: `is ${judge(candidate)}`, ms: 1 }
    },
    tell: async (found) => {
      if (isTold) return found
      throw new Killed()
    },
  }).catch((thrown) => {
    if (!(thrown instanceof Killed)) throw thrown
  })
  return { finding, attempts }
}

test('goes on where it was killed, within the runs of one candidate too, and leaves nothing when it is done', async () => {
  const rules: Rules = { runs: 3, verifyEnds: 'last' }
  const whole = await search(badFrom(6), { rules })
  expect(whole.finding).toMatchObject({ suspects: ['v6'], lastGood: 'v5' })
  for (const killedAt of whole.attempts.keys()) {
    const first = await search(badFrom(6), { rules, killedAt })
    expect(first.finding).toBeUndefined()
    const second = await search(badFrom(6), { rules })
    expect(second.finding).toEqual(whole.finding)
    expect([...first.attempts.slice(0, killedAt), ...second.attempts]).toEqual(whole.attempts)
    expect(await readdir(directory)).toEqual([])
  }
})

test('one that is killed as it tells its answer tells it again, without a run', async () => {
  expect((await search(badFrom(6), { isTold: false })).finding).toBeUndefined()
  const again = await search(badFrom(6))
  expect(again.finding).toMatchObject({ suspects: ['v6'], lastGood: 'v5' })
  expect(again.attempts).toEqual([])
})

test('goes on where kernels have come and gone meanwhile', async () => {
  await search(badFrom(6), { killedAt: 2 })
  const there = [...candidates.filter((one) => one !== 'v4'), 'v10']
  const judge = (candidate: string) => (candidate === 'v10' ? 'bad' : badFrom(6)(candidate))
  const { finding, attempts } = await search(judge, { there })
  expect(finding).toMatchObject({ suspects: ['v6'], lastGood: 'v5' })
  expect(attempts.map(({ candidate }) => candidate)).not.toContain('v6')
})

test('says how many can be the first bad one, and which run it is', async () => {
  const { attempts } = await search(badFrom(6), { rules: { runs: 2, verifyEnds: 'never' } })
  expect(attempts.slice(0, 3)).toMatchObject([
    { candidate: 'v4', run: 1, suspects: 9 },
    { candidate: 'v4', run: 2, suspects: 9 },
    { candidate: 'v6', run: 1, suspects: 5 },
  ])
})

test('says when it is an end that is verified', async () => {
  const { attempts } = await search(badFrom(1))
  expect(attempts.map(({ candidate, end }) => `${candidate} ${end ?? ''}`)).toEqual(['v4 ', 'v2 ', 'v1 ', 'v0 good'])
})

test('an end that is not what it was said to be is an error with the reason, after which a new search begins', async () => {
  await expect(search(() => 'good')).rejects.toMatchObject({
    code: 'BISECT_END',
    message: expect.stringContaining('the bad end, v9, is good: is good'),
  })
  await expect(search(() => 'bad')).rejects.toThrow('the good end, v0, is bad: is bad')
  expect((await search(badFrom(3))).finding).toMatchObject({ suspects: ['v3'] })
})

test('the state of another bisection, or what is none, is refused until it is given up', async () => {
  await search(badFrom(3), { killedAt: 1 })
  await expect(SavedRuns.open(state, 'another question', candidates)).rejects.toThrow(
    'has the state of another bisection',
  )
  await SavedRuns.giveUp(state)
  expect((await SavedRuns.open(state, 'another question', candidates)).runs).toEqual([])
  await writeFile(join(state, 'testkernels-bisect.json'), '{')
  await expect(SavedRuns.open(state, 'question', candidates)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
})

test('a directory with something else in it stays', async () => {
  await search(badFrom(3), { killedAt: 1 })
  await writeFile(join(state, 'mine'), '')
  await search(badFrom(3))
  expect(await readdir(state)).toEqual(['mine'])
})

test('a kernel that is named twice is refused', () => {
  expect(() => namedSubject(['a', 'b', 'a'])).toThrow('a is named twice')
})

const found = { suspects: ['v3'], lastGood: 'v2', unverified: [] }
const run = (candidate: string, verdict: Verdict): Run => ({ candidate, verdict, why: `is ${verdict}`, ms: 1 })
const subject = { ...namedSubject(['v0', 'v1', 'v2', 'v3']), logOf: async (first: string) => `what ${first} changed` }
const quiet = { subject, log: silentLogger, signal: new AbortController().signal }

test('the answer for people begins with the first bad one, and ends with its log', async () => {
  const runs = [run('v3', 'bad'), run('v1', 'good'), run('v2', 'good')]
  const answer = await answerOf(found, { ...quiet, runs, rules: once })
  expect(answerText(answer).split('\n')).toEqual([
    'v3 is the first bad one',
    'the last good one is v2',
    '',
    'tried 3 of 4:',
    '  good  v1  is good',
    '  good  v2  is good',
    '  bad   v3  is bad',
    '',
    'what v3 changed',
    '',
  ])
})

test('what somebody wrote into a title or a log does nothing to a terminal', async () => {
  const hostile = { ...subject, titleOf: async (one: string) => `${one} \x1b[2J`, logOf: async () => 'log\x1b]0;x\x07' }
  const answer = await answerOf(found, { ...quiet, subject: hostile, runs: [run('v3', 'bad')], rules: once })
  expect(answerText(answer)).toContain('v3 \\x1b[2J is the first bad one\n')
  expect(answerText(answer)).toContain('\nlog\\x1b]0;x\\x07\n')
})

test('where several can be the first bad one, they are all named, and none has a log', async () => {
  const runs = [run('v1', 'good'), run('v2', 'skip')]
  const finding = { suspects: ['v2', 'v3'], lastGood: 'v1', unverified: ['bad' as const] }
  const answer = await answerOf(finding, { ...quiet, runs, rules: once })
  expect(answerText(answer)).toMatch(
    /^the first bad one is one of these:\n {2}v2\n {2}v3\nthe last good one is v1\nnobody saw that the bad end is bad\n/,
  )
  expect(answer.log).toBe('')
})

test('of a long log people get the beginning, and programs all; one that cannot be read is no failure', async () => {
  const log = Array.from({ length: 100 }, (_, at) => `line ${at}`).join('\n')
  const options = { ...quiet, runs: [run('v3', 'bad'), run('v2', 'good')], rules: once }
  const long = await answerOf(found, { ...options, subject: { ...subject, logOf: async () => log } })
  expect(long.log).toBe(log)
  expect(answerText(long)).toMatch(/line 59\n\.\.\. and 40 more lines, which --json has\n$/)
  const unreadable = { ...subject, logOf: () => Promise.reject(new Error('no network')) }
  expect((await answerOf(found, { ...options, subject: unreadable })).log).toBe('')
})

test('where the command runs more than once, the answer says how far it can be believed', async () => {
  const rules: Rules = { runs: 2, verifyEnds: 'last' }
  const runs = [run('v3', 'good'), run('v3', 'bad'), run('v2', 'good'), run('v2', 'good')]
  const answer = await answerOf(found, { ...quiet, runs, rules })
  expect(answer.confidence).toEqual({ badRuns: 2, failedRuns: 1, missed: 0.25, confidence: 0.75 })
  expect(answerText(answer)).toContain('\nconfidence 75.0%: bad kernels failed in 1 of 2 runs, and one that does ')
})
