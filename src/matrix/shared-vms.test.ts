import { expect, test } from 'vitest'
import { parseKernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { SharedVms } from './shared-vms.ts'

const v1 = parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 })
const v2 = parseKernelEntry('v2', { kernel: 'debian:bookworm', cgroup: 2 })

function fakes() {
  const started: string[] = []
  const stopped: string[] = []
  const deaths: AbortController[] = []
  const vms = new SharedVms(async ({ name }) => {
    started.push(name)
    const death = new AbortController()
    deaths.push(death)
    return { name, gone: death.signal, stop: async () => void stopped.push(name) } as unknown as StartedKernelVm
  })
  return { vms, started, stopped, deaths }
}

test('starts each entry once, and ends it with its last user', async () => {
  const { vms, started, stopped } = fakes()
  const uses = [vms.use(v1), vms.use(v1), vms.use(v2)] as const
  const [a, b] = await Promise.all(uses.map((use) => use.started))
  expect(a).toBe(b)
  expect(started).toEqual(['v1', 'v2'])
  await uses[0].release()
  await uses[0].release()
  expect(stopped).toEqual([])
  await uses[1].release()
  expect(stopped).toEqual(['v1'])
})

test('a start that failed is reported to each user and can be tried again', async () => {
  let attempts = 0
  const vms = new SharedVms(async () => {
    attempts++
    throw new Error('no engine')
  })
  const uses = [vms.use(v1), vms.use(v1)]
  for (const { started } of uses) await expect(started).rejects.toThrow('no engine')
  expect(attempts).toBe(1)
  for (const { release } of uses) await release()
  await expect(vms.use(v1).started).rejects.toThrow('no engine')
  expect(attempts).toBe(2)
})

test('a release during the start cancels it', async () => {
  const vms = new SharedVms(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cancelled')))),
  )
  const use = vms.use(v1)
  await use.release()
  await expect(use.started).rejects.toThrow('cancelled')
})

test('a VM that died is started anew for the next user, and ends with its own', async () => {
  const { vms, started, stopped, deaths } = fakes()
  const first = vms.use(v1)
  await first.started
  deaths[0]?.abort(new Error('panic'))
  const second = vms.use(v1)
  expect(await second.started).not.toBe(await first.started)
  expect(started).toEqual(['v1', 'v1'])
  await first.release()
  const third = vms.use(v1)
  expect(await third.started).toBe(await second.started)
  expect(stopped).toEqual(['v1'])
})
