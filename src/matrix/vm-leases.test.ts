import { expect, test } from 'vitest'
import { parseKernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { VmLeases } from './vm-leases.ts'

const v1 = parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 })
const v2 = parseKernelEntry('v2', { kernel: 'debian:bookworm', cgroup: 2 })

function fakes() {
  const started: string[] = []
  const stopped: string[] = []
  const deaths: AbortController[] = []
  const vms = new VmLeases(async ({ name }) => {
    started.push(name)
    const death = new AbortController()
    deaths.push(death)
    return { name, gone: death.signal, stop: async () => void stopped.push(name) } as unknown as StartedKernelVm
  })
  return { vms, started, stopped, deaths }
}

test('starts each entry once, and ends it with its last release', async () => {
  const { vms, started, stopped } = fakes()
  const leases = [vms.lease(v1), vms.lease(v1), vms.lease(v2)] as const
  const [a, b] = await Promise.all(leases.map((lease) => lease.started))
  expect(a).toBe(b)
  expect(started).toEqual(['v1', 'v2'])
  await leases[0].release()
  await leases[0].release()
  expect(stopped).toEqual([])
  await leases[1].release()
  expect(stopped).toEqual(['v1'])
})

test('a start that failed is reported to each who leases it and can be tried again', async () => {
  let attempts = 0
  const vms = new VmLeases(async () => {
    attempts++
    throw new Error('no engine')
  })
  const leases = [vms.lease(v1), vms.lease(v1)]
  for (const { started } of leases) await expect(started).rejects.toThrow('no engine')
  expect(attempts).toBe(1)
  for (const { release } of leases) await release()
  await expect(vms.lease(v1).started).rejects.toThrow('no engine')
  expect(attempts).toBe(2)
})

test('a release during the start cancels it', async () => {
  const vms = new VmLeases(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('cancelled')))),
  )
  const lease = vms.lease(v1)
  await lease.release()
  await expect(lease.started).rejects.toThrow('cancelled')
})

test('a VM that died is started anew for the next lease, and ends with its own', async () => {
  const { vms, started, stopped, deaths } = fakes()
  const first = vms.lease(v1)
  await first.started
  deaths[0]?.abort(new Error('panic'))
  const second = vms.lease(v1)
  expect(await second.started).not.toBe(await first.started)
  expect(started).toEqual(['v1', 'v1'])
  await first.release()
  const third = vms.lease(v1)
  expect(await third.started).toBe(await second.started)
  expect(stopped).toEqual(['v1'])
})
