import { join } from 'node:path'
import { expect, test } from 'vitest'
import { expectSlowKernels } from '../support/false-alarms.ts'
import { openCampaign } from './campaign.ts'
import { canCampaign } from './engine.ts'
import { draw, type Fault, faults, type Outcome } from './faults.ts'
import { Ledger } from './ledger.ts'
import { leftovers, type Places } from './leftovers.ts'
import { exit, Hang, output, Scene, type SceneOptions } from './scene.ts'
import { settings } from './settings.ts'

expectSlowKernels()

/** So many tries have a start after them that is left alone, and what is left after that counts. */
const TRIES_BETWEEN_STARTS = 4
/** Engines remove what ended on their own time. */
const SWEPT_DEADLINE_MS = 30_000
/** A base image and a template may have to be made. */
const SETUP_DEADLINE_MS = 600_000

test.runIf(canCampaign())('nothing is lost and nothing left, whatever ends when', async ({ signal }) => {
  const { directory, seed, tries, first, seconds } = settings
  const ledger = new Ledger(join(directory, 'ledger.json'))
  await using campaign = await openCampaign()
  const { places, missing } = campaign
  for (const { name, needs } of faults) {
    const why = needs && missing[needs]
    if (why !== undefined) ledger.notTried(name, `${needs} could not be fetched: ${why}`)
  }
  const measured = await measure(campaign.scene)
  console.log(
    `a start takes ${measured.startMs} ms, a life ${measured.lifeMs.short} or ${measured.lifeMs.long} ms; TESTKERNELS_FAULTS_SEED=${seed}`,
  )

  const found: string[] = []
  const until = performance.now() + seconds * 1000
  let since: number[] = []
  const isLast = (number: number) => number === first + tries - 1 || performance.now() >= until || signal.aborted
  for (let number = first; ; number++) {
    const random = numbers(seed, number)
    const fault = draw(random, campaign.scene.tools)
    const startMs = performance.now()
    await using scene = new Scene({ ...measured, random })
    // With the programs of a try ends what it waits for.
    const calledOff = () => void scene[Symbol.asyncDispose]()
    signal.addEventListener('abort', calledOff)
    const outcome = await injected(fault, scene)
    signal.removeEventListener('abort', calledOff)
    await scene[Symbol.asyncDispose]()
    // What came of it is none of the fault's.
    if (signal.aborted) break
    const tried = { fault: fault.name, seed, number, ms: Math.round(performance.now() - startMs), ...outcome }
    ledger.tried(tried)
    console.log(
      `${number} ${fault.name}: ${tried.phase}, ${tried.ms} ms${tried.wrong === undefined ? '' : `, ${tried.wrong}`}`,
    )
    if (tried.wrong !== undefined) found.push(`${number} ${fault.name}: ${tried.wrong}`)
    since.push(number)
    if (since.length < TRIES_BETWEEN_STARTS && !isLast(number)) continue
    const left = await leftAfterNextStart({ ...measured, random }, places)
    ledger.swept({ after: since, seed, left })
    if (left.length > 0) found.push(`after ${since.join()} was left:\n${left.join('\n')}`)
    since = []
    if (isLast(number)) break
  }
  ledger.writePage()
  expect(found, `TESTKERNELS_FAULTS_SEED=${seed}, and TESTKERNELS_FAULTS_FIRST is the number`).toEqual([])
})

/** What is undisturbed, once with what it makes for later, and once to see how long it takes. */
async function measure(options: SceneOptions): Promise<SceneOptions> {
  await using scene = new Scene(options)
  const timed = async (start: () => ReturnType<Scene['life']>) => {
    const from = performance.now()
    const program = start()
    expect((await exit(program, SETUP_DEADLINE_MS)).code, output(program)).toBe(0)
    return Math.round(performance.now() - from)
  }
  await timed(() => scene.run(['true']))
  const startMs = await timed(() => scene.run(['true']))
  const lifeMs = { short: await timed(() => scene.life('short')), long: await timed(() => scene.life('long')) }
  return { ...options, startMs, lifeMs }
}

async function injected(fault: Fault, scene: Scene): Promise<Outcome & { isHang?: true }> {
  try {
    return await fault.inject(scene)
  } catch (thrown) {
    const wrong = thrown instanceof Error ? thrown.message : String(thrown)
    return { phase: 'unknown', wrong, ...(thrown instanceof Hang && { isHang: true as const }) }
  }
}

async function leftAfterNextStart(options: SceneOptions, places: Places): Promise<readonly string[]> {
  await using scene = new Scene(options)
  const look = { ...places, lookedMs: Date.now() }
  const program = scene.run(['true'])
  const { code } = await exit(program)
  if (code !== 0) return [`the next start ended with ${code}:\n${output(program)}`]
  await expect
    .poll(() => leftovers(look), { timeout: SWEPT_DEADLINE_MS, interval: 100 })
    .toEqual([])
    .catch(() => {})
  return await leftovers(look)
}

/** Of one try, whatever the others were. */
function numbers(seed: number, number: number): () => number {
  // mulberry32
  let state = (seed * 1_000_003 + number * 7919) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
