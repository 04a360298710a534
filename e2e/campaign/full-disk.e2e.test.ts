// The disk of an engine that becomes full below a VM: the engine is the campaign's own, and so is its disk.
import { expect, test } from 'vitest'
import { openCampaign } from './campaign.ts'
import { canCampaign } from './engine.ts'
import { exit, output, Scene } from './scene.ts'

/** A template may have to be made. */
const START_DEADLINE_MS = 600_000

test.runIf(canCampaign())('a VM for which the engine has no room any more is gone, and says why', async () => {
  await using campaign = await openCampaign()
  const { engine } = campaign.scene
  await using scene = new Scene(campaign.scene)
  const fill = scene.script('fill-engine.mjs', ['when told'])
  await fill.printed('stdout', /^run$/m, START_DEADLINE_MS)
  scene.defer(engine.fillDisk(20))
  fill.type('now\n')
  expect((await exit(fill)).code, output(fill)).toBe(0)
  expect(fill.stdout).toContain("the disk that holds the VM's data is full, which is the Docker engine's")
  expect(fill.stdout).toContain('failed [VM_DIED]: full: the VM was lost on debian:bookworm, cgroup v2')
  expect(fill.stdout).toContain('docker system df')
})
