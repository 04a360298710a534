// A search between the two kernels whose VMs are saved, so that each try starts at once. e2e/full/bisect has longer ones.
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { baseImage } from '../support/env.ts'
import type { Program } from '../support/program.ts'
import { inTerminal, Run, testkernels, testkernelsArgv } from '../support/run.ts'

const GOOD = 'debian:bookworm'
const BAD = 'debian:trixie'
/** No kernel is in it. */
const UNBUILDABLE = `docker-image://${baseImage}`
/** Two VMs are started before. */
const TRIED_DEADLINE_MS = 240_000
const isOld = 'case $(docker info --format "{{.KernelVersion}}") in 6.1.*) ;; *) exit 1 ;; esac'
let directory: string
let state: string
let tried: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-bisect-'))
  state = join(directory, 'state')
  tried = join(directory, 'tried')
})

afterEach(() => rm(directory, { recursive: true }))

/** Of a script, which notes the kernels that it ran on. */
function bisect(script: string, options: readonly string[] = []) {
  return testkernels(bisectArgs(script, options))
}

function bisectArgs(script: string, options: readonly string[] = []): readonly string[] {
  const between = ['--good', GOOD, '--between', UNBUILDABLE, '--bad', BAD, '--state', state]
  const command = ['sh', '-c', `echo "$TESTKERNELS_ENTRY" >>${tried}; ${script}`]
  return ['bisect', ...between, ...options, '--', ...command]
}

async function kernelsTried(): Promise<string[]> {
  const text = await readFile(tried, 'utf8').catch(() => '')
  return text.split('\n').filter((line) => line !== '')
}

test('finds the first kernel on which the command fails; one that cannot be built is passed over', async () => {
  await using run = await bisect(`${isOld}; echo passed`, ['--json', '--progress', 'plain'])
  expect(await run.program.exit).toEqual({ code: 2, signal: null })
  const { suspects, lastGood, tried: all, unverified } = JSON.parse(run.program.stdout)
  expect(suspects.map(({ candidate }: { candidate: string }) => candidate)).toEqual([UNBUILDABLE, BAD])
  expect({ lastGood, unverified }).toEqual({ lastGood: { candidate: GOOD, title: GOOD }, unverified: [] })
  expect(all).toEqual([
    { candidate: GOOD, title: GOOD, verdict: 'good', why: 'the command passed', runs: 1 },
    expect.objectContaining({ verdict: 'skip', why: expect.stringMatching(/^it could not be built: /) }),
    { candidate: BAD, title: BAD, verdict: 'bad', why: 'the command ended with status 1', runs: 1 },
  ])
  // The command is shown as the steps of builds are.
  expect(run.program.stderr).toMatch(/^#\d+ \[bisect\] debian:bookworm: sh -c [\s\S]*^#\d+ [\d.]+ passed$/m)
  expect(existsSync(state)).toBe(false)
})

test.each([
  { ended: 'killed', end: (program: Program) => program.kill('SIGKILL'), exit: { code: null, signal: 'SIGKILL' } },
  { ended: 'interrupted', end: (program: Program) => program.kill('SIGINT'), exit: { code: 130, signal: null } },
  // A terminal's, which its command has as well.
  { ended: 'ended by Ctrl-C', end: (program: Program) => program.type('\x03'), exit: { code: 130, signal: null } },
] as const)(
  'a search that was $ended goes on with the kernel that it was at, and leaves nothing',
  async ({ ended, end, exit }) => {
    const hold = join(directory, 'hold')
    await writeFile(hold, '')
    // The bad end first, and then the good one.
    const script = `${isOld}; [ ! -e ${hold} ] || exec sleep 1000`
    const isTyped = ended === 'ended by Ctrl-C'
    await using first = isTyped
      ? await Run.start(inTerminal(testkernelsArgv(bisectArgs(script))))
      : await bisect(script)
    await expect.poll(kernelsTried, { timeout: TRIED_DEADLINE_MS }).toEqual(['debian-trixie', 'debian-bookworm'])
    const qemus = await first.qemus()
    end(first.program)
    expect(await first.program.exit).toEqual(exit)
    await first.gone(qemus)
    const output = first.program.stdout + first.program.stderr
    const isTold = output.includes(`runs known: 2 (${state}); the same command goes on from there`)
    expect(isTold, output).toBe(exit.code === 130)
    // Neither an answer, nor a verdict on the kernel that it was at.
    expect(output).not.toMatch(/first bad one is|good: debian|error \[/)
    await rm(hold)
    await using run = await bisect(script)
    expect(await run.program.exit).toEqual({ code: 2, signal: null })
    expect(run.program.stderr).toContain(`going on with an earlier search; runs known: 2 (${state})`)
    expect(run.program.stdout).toContain(`the first bad one is one of these:\n  ${UNBUILDABLE}\n  ${BAD}\n`)
    expect(await kernelsTried()).toEqual(['debian-trixie', 'debian-bookworm', 'debian-bookworm'])
    expect(existsSync(state)).toBe(false)
  },
)

test('a command that cannot be run ends the search, which goes on when it can', async () => {
  await using wrong = await bisect('no-such-program-of-ours')
  expect(await wrong.program.exit).toEqual({ code: 125, signal: null })
  expect(wrong.program.stderr).toContain('error [BISECT_COMMAND]: the command ended with status 127')
  await using other = await bisect('true')
  expect(await other.program.exit).toEqual({ code: 125, signal: null })
  expect(other.program.stderr).toContain(`error [INVALID_OPTION]: ${state} has the state of another bisection`)
  await using otherRules = await bisect('no-such-program-of-ours', ['--vm-death', 'skip'])
  expect(await otherRules.program.exit).toEqual({ code: 125, signal: null })
  expect(otherRules.program.stderr).toContain(`${state} has the state of another bisection`)
  await using anew = await bisect('true', ['--restart'])
  expect(await anew.program.exit).toEqual({ code: 125, signal: null })
  expect(anew.program.stderr).toContain(`error [BISECT_END]: the bad end, ${BAD}, is good: the command passed`)
})
