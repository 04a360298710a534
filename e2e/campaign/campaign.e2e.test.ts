import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CampaignEngine, canCampaign } from './engine.ts'
import { type Fault, faults, type Outcome } from './faults.ts'
import { Ledger } from './ledger.ts'
import { leftovers, type Places } from './leftovers.ts'
import { exit, Hang, output, Scene, type SceneOptions } from './scene.ts'
import { settings } from './settings.ts'

/** So many tries have a start after them that is left alone, and what is left after that counts. */
const TRIES_BETWEEN_STARTS = 4
const MEMORY_MIB = 512
/** Engines remove what ended on their own time. */
const SWEPT_DEADLINE_MS = 30_000
/** A base image and a template may have to be made. */
const SETUP_DEADLINE_MS = 600_000
const TEMPLATES = 'campaign-templates'

test.runIf(canCampaign())('nothing is lost and nothing left, whatever ends when', async () => {
  const { directory, seed, tries, first, seconds } = settings
  const ledger = new Ledger(join(directory, 'ledger.json'))
  await using engine = await CampaignEngine.start(join(directory, 'engine'))
  for (const tag of imageTags()) await engine.load(tag)
  const places = placesOf(engine)
  const [runDirectory = '', temporary = ''] = places.directories
  const environment = {
    DOCKER_HOST: engine.dockerHost,
    TESTKERNELS_RUN_DIR: runDirectory,
    TESTKERNELS_CACHE_DIR: places.cacheDirectory,
    TESTKERNELS_TEMPLATE_VOLUME: TEMPLATES,
    TMPDIR: temporary,
    NO_COLOR: '1',
  }
  const measured = await measure({
    engine,
    environment,
    random: () => 0,
    lifeMs: { short: 0, long: 0 },
    startMs: 0,
    memoryMib: MEMORY_MIB,
  })
  console.log(
    `a start takes ${measured.startMs} ms, a life ${measured.lifeMs.short} or ${measured.lifeMs.long} ms; TESTKERNELS_FAULTS_SEED=${seed}`,
  )

  const found: string[] = []
  const until = performance.now() + seconds * 1000
  let since: number[] = []
  const isLast = (number: number) => number === first + tries - 1 || performance.now() >= until
  for (let number = first; ; number++) {
    const random = numbers(seed, number)
    const fault = draw(random)
    const startMs = performance.now()
    await using scene = new Scene({ ...measured, random })
    const outcome = await injected(fault, scene)
    await scene[Symbol.asyncDispose]()
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

function placesOf(engine: CampaignEngine): Places {
  const [run, temporary, cache] = ['run', 'tmp', 'cache'].map((name) => join('/tmp/testkernels-campaign', name)) as [
    string,
    string,
    string,
  ]
  // What a campaign left that was ended itself is none of this one's.
  for (const name of existsSync(temporary) ? readdirSync(temporary) : []) {
    spawnSync('umount', [join(temporary, name)], { stdio: 'ignore' })
  }
  for (const path of [run, temporary]) rmSync(path, { recursive: true, force: true })
  for (const path of [run, temporary, cache]) mkdirSync(path, { recursive: true })
  // Users share it, as they do the machine's.
  for (const path of [run, temporary]) chmodSync(path, 0o1777)
  return {
    engine,
    volumes: [TEMPLATES, `${TEMPLATES}-marks`],
    directories: [run, temporary],
    cacheDirectory: cache,
  }
}

/** Those of the image that the machine's engine has of this source (support/images.ts). */
function imageTags(): readonly string[] {
  const main = join(settings.root, 'dist/cli/main.js')
  const id = execFileSync(process.execPath, [main, 'build', '--kernel', 'debian:bookworm'], { encoding: 'utf8' }).trim()
  const inspect = ['image', 'inspect', '--format', '{{json .RepoTags}}', id]
  return JSON.parse(execFileSync('docker', inspect, { encoding: 'utf8' })) as string[]
}

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
  const program = scene.run(['true'])
  const { code } = await exit(program)
  if (code !== 0) return [`the next start ended with ${code}:\n${output(program)}`]
  await expect
    .poll(() => leftovers(places), { timeout: SWEPT_DEADLINE_MS, interval: 100 })
    .toEqual([])
    .catch(() => {})
  return await leftovers(places)
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

function draw(random: () => number): Fault {
  const drawn = faults.filter(({ name }) => name.includes(settings.only))
  // As often in the list as it weighs.
  const weighed = drawn.flatMap((fault) => Array.from({ length: fault.weight }, () => fault))
  const fault = weighed[Math.floor(random() * weighed.length)]
  if (fault === undefined) throw new Error(`there is no fault named like '${settings.only}'`)
  return fault
}
