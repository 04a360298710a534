import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { expect, test } from 'vitest'
import { baseImage } from '../support/env.ts'
import { containersOf, EVENT_DEADLINE_MS, engineUnderTest, GONE_WITHIN_MS, ownRun } from './support.ts'

const runAttached = join(import.meta.dirname, 'run-attached.mjs')

test.each(['SIGKILL', 'SIGTERM'] as const)('the container goes when its owner ends by %s', async (signal) => {
  const engine = await engineUnderTest()
  const run = ownRun()
  const owner = spawn(process.execPath, [runAttached, baseImage, JSON.stringify(run.labels)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(owner, 'exit')
  try {
    const [id] = (await once(createInterface(owner.stdout), 'line', {
      signal: AbortSignal.timeout(EVENT_DEADLINE_MS),
    })) as [string]
    expect(await containersOf(engine, run)).toEqual([id])

    const removed = engine.docker.getContainer(id).wait({ condition: 'removed' })
    owner.kill(signal)
    const killedAt = performance.now()
    await ended
    await removed
    expect(performance.now() - killedAt).toBeLessThan(GONE_WITHIN_MS)
    expect(await containersOf(engine, run)).toEqual([])
  } finally {
    owner.kill('SIGKILL')
    await ended
  }
})
