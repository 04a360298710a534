// What becomes of a campaign's engine when the campaign is ended from outside: in a Vitest of its own, which runs this file as well.
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Program } from '../support/program.ts'
import { CampaignEngine, canCampaign } from './engine.ts'
import { engineProcesses } from './engine-processes.mjs'
import { settings } from './settings.ts'

const DEADLINE_MS = 120_000
/** Directory of the engine that is only held, in the Vitest that is ended. */
const held = process.env['TESTKERNELS_FAULTS_HELD']

test.runIf(held !== undefined)('is held', async () => {
  await using engine = await CampaignEngine.start(held ?? '')
  console.log(`up ${engine.pid}`)
  await new Promise(() => {})
})

test.runIf(held === undefined && canCampaign()).each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
  'after %s neither the engine of a campaign runs nor is its data mounted',
  async (signal) => {
    const directory = await mkdtemp(join(tmpdir(), 'tk-held-'))
    const config = join(directory, 'vitest.config.mjs')
    const options = { root: import.meta.dirname, include: ['interrupted.e2e.test.ts'], disableConsoleIntercept: true }
    await writeFile(config, `export default ${JSON.stringify({ test: { ...options, testTimeout: DEADLINE_MS } })}\n`)
    const vitest = join(settings.root, 'node_modules/vitest/vitest.mjs')
    await using run = new Program([process.execPath, vitest, 'run', '--config', config], {
      env: { ...process.env, TESTKERNELS_FAULTS_HELD: directory },
    })
    await run.printed('stdout', /^up \d+$/m, DEADLINE_MS)
    run.kill(signal)
    await expect.poll(() => engineProcesses(directory, '(dockerd|containerd)'), { timeout: DEADLINE_MS }).toEqual([])
    const isMounted = () => spawnSync('mountpoint', ['--quiet', join(directory, 'data')]).status === 0
    await expect.poll(isMounted, { timeout: DEADLINE_MS }).toBe(false)
    await rm(directory, { recursive: true })
  },
)
