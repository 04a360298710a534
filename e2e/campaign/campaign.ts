import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { vmImageNames } from '../support/templates.ts'
import { CampaignEngine } from './engine.ts'
import type { Places } from './leftovers.ts'
import type { SceneOptions } from './scene.ts'
import { settings } from './settings.ts'
import { fetchTools, type Missing } from './tools.ts'

const DIRECTORY = '/tmp/testkernels-campaign'
const TEMPLATES = 'campaign-templates'
const MEMORY_MIB = 512

/** What all tries share. */
export interface Campaign extends AsyncDisposable {
  readonly places: Places
  /** Of a try that nothing is drawn in, and before anything was measured. */
  readonly scene: SceneOptions
  readonly missing: Missing
}

/** An engine with the image, and directories in which nothing is. */
export async function openCampaign(): Promise<Campaign> {
  const engine = await CampaignEngine.start(join(settings.directory, 'engine'))
  const [image = '', ...others] = await vmImageNames()
  for (const tag of [image, ...others]) await engine.load(tag)
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
  const { tools, missing } = fetchTools()
  return {
    places,
    missing,
    scene: {
      ...{ engine, environment, tools, image },
      templates: TEMPLATES,
      random: () => 0,
      lifeMs: { short: 0, long: 0 },
      startMs: 0,
      memoryMib: MEMORY_MIB,
    },
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  }
}

function placesOf(engine: CampaignEngine): Places {
  const [run, temporary, cache] = ['run', 'tmp', 'cache'].map((name) => join(DIRECTORY, name)) as [
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
