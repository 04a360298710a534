import { expect, test } from 'vitest'
import { parseKernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { SharedVms } from './shared-vms.ts'

const v1 = parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 })
const v2 = parseKernelEntry('v2', { kernel: 'debian:bookworm', cgroup: 2 })

function fakes() {
  const started: string[] = []
  const stopped: string[] = []
  const vms = new SharedVms(async (entry) => {
    started.push(entry.name)
    return { name: entry.name, stop: async () => void stopped.push(entry.name) } as unknown as StartedKernelVm
  })
  return { vms, started, stopped }
}

test('starts each entry once, and ends it with its last user', async () => {
  const { vms, started, stopped } = fakes()
  const [a, b] = await Promise.all([vms.acquire(v1), vms.acquire(v1), vms.acquire(v2)])
  expect(a).toBe(b)
  expect(started).toEqual(['v1', 'v2'])
  await vms.release(v1)
  expect(stopped).toEqual([])
  await vms.release(v1)
  expect(stopped).toEqual(['v1'])
})

test('a start that failed is reported to each user and can be tried again', async () => {
  let attempts = 0
  const vms = new SharedVms(async () => {
    attempts++
    throw new Error('no engine')
  })
  await expect(vms.acquire(v1)).rejects.toThrow('no engine')
  await expect(vms.acquire(v1)).rejects.toThrow('no engine')
  expect(attempts).toBe(1)
  await vms.release(v1)
  await vms.release(v1)
  await expect(vms.acquire(v1)).rejects.toThrow('no engine')
  expect(attempts).toBe(2)
})

test('a release during the start cancels it', async () => {
  const vms = new SharedVms(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cancelled')))),
  )
  const acquired = vms.acquire(v1)
  await vms.release(v1)
  await expect(acquired).rejects.toThrow('cancelled')
})
