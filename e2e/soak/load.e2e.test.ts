// VMs on a machine that has much else to do: what a slow machine cannot do in time must not fail a start.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'

const BUSY_PROCESSES = 8
/** `TESTKERNELS_LOADED_BOOTS` */
const BOOTS = Number(process.env['TESTKERNELS_LOADED_BOOTS'] ?? 30)
/** `TESTKERNELS_LOADED_SECONDS`: after that none begins, and those that there were count. A cold boot takes a minute or two so. */
const SECONDS = Number(process.env['TESTKERNELS_LOADED_SECONDS'] ?? 3_600)
/** What the last may take in addition. */
const LAST_BOOT_MS = 900_000

const busy: ChildProcess[] = []

beforeAll(() => {
  for (let number = 0; number < BUSY_PROCESSES; number++)
    busy.push(spawn(process.execPath, ['--eval', 'for (;;);'], { stdio: 'ignore' }))
})

afterAll(async () => {
  const ended = busy.map((each) => once(each, 'exit'))
  for (const each of busy) each.kill('SIGKILL')
  await Promise.all(ended)
})

test(`each of ${BOOTS} starts succeeds beside ${BUSY_PROCESSES} busy processes`, {
  timeout: SECONDS * 1000 + LAST_BOOT_MS,
}, async () => {
  const until = performance.now() + SECONDS * 1000
  const failed: string[] = []
  let started = 0
  for (; started < BOOTS && performance.now() < until; started++) {
    // In turn: from a template, and cold, as the making of one is.
    const how = started % 2 === 0 ? 'from a template' : 'cold'
    const fromMs = performance.now()
    const vm = new KernelVm({ name: 'loaded', kernel: 'debian:bookworm', template: how !== 'cold' })
    try {
      await using loaded = await vm.start()
      const docker = new Docker({ socketPath: loaded.dockerHost.slice('unix://'.length) })
      expect(String(await docker.ping())).toBe('OK')
    } catch (thrown) {
      failed.push(`${started} (${how}): ${thrown}`)
    }
    console.log(`${started} ${how}: ${((performance.now() - fromMs) / 1000).toFixed(1)} s`)
  }
  console.log(`${started - failed.length} of ${started} starts succeeded`)
  expect(failed).toEqual([])
  // Unless somebody asked for less time, all of them are what is to be shown.
  if (process.env['TESTKERNELS_LOADED_SECONDS'] === undefined) expect(started).toBe(BOOTS)
})
