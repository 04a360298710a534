import { afterEach, expect, test } from 'vitest'
import { newRun, prune, runLabels } from '../../../src/engine/index.ts'
import { engineUnderTest } from '../../engine/support.ts'
import { baseImage } from '../../support/env.ts'
import { thingsOf } from '../../support/things.ts'

/** What was not started for a minute is nobody's. */
const ABANDONED_DEADLINE_MS = 180_000

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp().catch(() => {})
})

test('what was made and never started stays for a minute, in which it may be, and goes then', async () => {
  const run = newRun()
  const labels = runLabels(run)
  const volume = `testkernels-e2e-${run}`
  const engine = await engineUnderTest()
  const { docker } = engine
  const container = await docker.createContainer({
    Image: baseImage,
    Cmd: ['true'],
    Labels: labels,
    HostConfig: {
      Mounts: [
        {
          Type: 'volume',
          Source: volume,
          Target: '/volume',
          VolumeOptions: { NoCopy: false, Labels: labels, DriverConfig: { Name: '', Options: {} } },
        },
      ],
    },
  })
  cleanUps.push(
    () => docker.getVolume(volume).remove(),
    () => container.remove({ force: true }),
  )
  const made = [`container ${container.id}`, `volume ${volume}`]
  expect(await thingsOf(engine, run)).toEqual(made)
  await prune(engine)
  expect(await thingsOf(engine, run)).toEqual(made)
  const left = async () => {
    await prune(engine)
    return await thingsOf(engine, run)
  }
  await expect.poll(left, { timeout: ABANDONED_DEADLINE_MS, interval: 5_000 }).toEqual([])
})
