import { expect, test, vi } from 'vitest'
import { createLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { KeptVms } from './kept-vms.ts'

function keptVms({ isAttended = true } = {}) {
  const lines: string[] = []
  const ended: string[] = []
  const kept = new KeptVms({ log: createLogger({ write: (line) => lines.push(line) }), isAttended })
  const vmOf = (entry: string, hostname = entry) => {
    const death = new AbortController()
    const dockerHost = `unix:///${hostname}`
    const vm = { entry: parseKernelEntry(entry, { kernel: 'debian:trixie' }), hostname, dockerHost, gone: death.signal }
    return { vm, death, end: async () => void ended.push(hostname) }
  }
  return { kept, lines, ended, vmOf }
}

test('a VM that is kept stays until it is let go, and how one gets into it is said', async () => {
  const { kept, lines, ended, vmOf } = keptVms()
  const { vm, end } = vmOf('v1')
  expect(kept.keep(vm, { keepOnFailure: true, end })).toBe(true)
  const stayed = kept.stay()
  expect(lines).toEqual([
    '[v1] a test failed, and the VM is kept until Ctrl-C:',
    '[v1]   testkernels shell v1',
    '[v1]   DOCKER_HOST=unix:///v1',
  ])
  expect(ended).toEqual([])
  kept.letGo()
  await stayed
  expect(ended).toEqual(['v1'])
  expect(kept.keep(vmOf('v2').vm, { keepOnFailure: true, end })).toBe(false)
})

test('one whose time is over ends, whether or not there is a terminal', async () => {
  vi.useFakeTimers()
  try {
    const { kept, lines, ended, vmOf } = keptVms({ isAttended: false })
    const { vm, end } = vmOf('v1')
    expect(kept.keep(vm, { keepOnFailure: { minutes: 30 }, end })).toBe(true)
    const stayed = kept.stay()
    expect(lines[0]).toBe('[v1] a test failed, and the VM is kept for 30 min, or until Ctrl-C:')
    await vi.advanceTimersByTimeAsync(30 * 60_000 - 1)
    expect(ended).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    await stayed
    expect(ended).toEqual(['v1'])
  } finally {
    vi.useRealTimers()
  }
})

test('where nobody could end one without a limit, none is kept, and that is said once for an entry', async () => {
  const { kept, lines, vmOf } = keptVms({ isAttended: false })
  for (const hostname of ['v1', 'v1-2'])
    expect(kept.keep(vmOf('v1', hostname).vm, { keepOnFailure: true, end: async () => {} })).toBe(false)
  expect(lines).toEqual([
    expect.stringContaining('[v1] warning: a test failed, and its VM is not kept'),
    '[v1]   remedy: keepOnFailure: { minutes: 30 } keeps it for so long',
  ])
  await kept.stay()
})

test('of an entry the first is kept, and all who had it give it up at its end', async () => {
  const { kept, ended, vmOf } = keptVms()
  const { vm, end } = vmOf('v1', 'v1-2')
  expect(kept.keep(vm, { keepOnFailure: true, end })).toBe(true)
  expect(kept.keep(vmOf('v1', 'v1-3').vm, { keepOnFailure: true, end })).toBe(false)
  expect(kept.join(vm, async () => void ended.push('lease'))).toBe(true)
  expect(kept.join(vmOf('v1', 'v1-3').vm, end)).toBe(false)
  expect(kept.has('v1')).toBe(true)
  expect(await kept.endOne()).toBe(true)
  expect(ended).toEqual(['v1-2', 'lease'])
  expect(kept.has('v1')).toBe(false)
  expect(await kept.endOne()).toBe(false)
})

test('one that dies is not waited for, and not kept once it is dead', async () => {
  const { kept, ended, vmOf } = keptVms()
  const { vm, death, end } = vmOf('v1')
  kept.keep(vm, { keepOnFailure: true, end })
  const stayed = kept.stay()
  death.abort(new Error('panic'))
  await stayed
  expect(ended).toEqual(['v1'])
  expect(kept.keep(vm, { keepOnFailure: true, end })).toBe(false)
})

test('one that cannot be ended is told of, and does not hold up the others', async () => {
  const { kept, lines, ended, vmOf } = keptVms()
  const failing = async () => {
    throw new Error('the engine is gone')
  }
  kept.keep(vmOf('v1').vm, { keepOnFailure: true, end: failing })
  const { vm, end } = vmOf('v2')
  kept.keep(vm, { keepOnFailure: true, end })
  const stayed = kept.stay()
  kept.letGo()
  await stayed
  expect(lines.at(-1)).toBe('warning: the engine is gone')
  expect(ended).toEqual(['v2'])
})
