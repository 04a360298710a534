// How often a warm start asks an engine that is far away and waits for the answer. What it takes in all is told; what is asserted does not
// depend on this machine's speed.
import { KernelVm } from 'testkernels'
import { afterEach, expect, test, vi } from 'vitest'
import { startRemoteEngine } from '../../support/remote-engine.ts'

/** What a warm start was seen to need, and some for sockets that are asked for before they are there. */
const MOST = { connections: 16, exchanges: 60 }

afterEach(() => {
  vi.unstubAllEnvs()
})

/** A start is warm when the image and the template are there. */
async function warmStart(roundTripMs: number) {
  await using remote = await startRemoteEngine({ roundTripMs })
  for (const [name, value] of Object.entries(remote.environment)) vi.stubEnv(name, value)
  const begin = performance.now()
  await using _vm = await new KernelVm({ name: 'far', kernel: 'debian:bookworm' }).start()
  const { connections, exchanges } = remote
  return { ms: Math.round(performance.now() - begin), connections, exchanges }
}

test('a warm start on an engine that is 0, 20 and 100 ms away', async ({ annotate }) => {
  await warmStart(0)
  const near = await warmStart(0)
  for (const roundTripMs of [20, 100]) {
    const far = await warmStart(roundTripMs)
    const waits = Math.round((far.ms - near.ms) / roundTripMs)
    const counted = `${far.connections} connections, ${far.exchanges} exchanges, ${waits} round trips one after another`
    await annotate(`${roundTripMs} ms: ${far.ms} ms (${(far.ms / near.ms).toFixed(1)} times ${near.ms} ms): ${counted}`)
    expect(far.connections).toBeLessThanOrEqual(MOST.connections)
    expect(far.exchanges).toBeLessThanOrEqual(MOST.exchanges)
  }
})
