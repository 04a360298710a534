import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { StartedKernelVm } from '../vm/index.ts'
import { takeVms } from '../worker/index.ts'
import { Fates } from './fates.ts'
import { OwnVms, type OwnVmsOptions } from './own-vms.ts'

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Hands out VMs of one entry that only say that they live; `fails` makes that of its forks. */
async function handOut(isolation: OwnVmsOptions['isolation'], { fork }: { fork?: () => Promise<never> } = {}) {
  const place = await mkdtemp(join(tmpdir(), 'tk-own-'))
  cleanUps.push(() => rm(place, { recursive: true }))
  const living = new Set<string>()
  const deaths = new Map<string, AbortController>()
  const kept: string[] = []
  const keeping = { begun: 0, hold: Promise.resolve(), goOn: () => {} }
  const vm = (hostname: string): StartedKernelVm => {
    living.add(hostname)
    const death = new AbortController()
    deaths.set(hostname, death)
    return {
      name: 'v2',
      hostname,
      dockerHost: `unix:///${hostname}`,
      entry: { kernel: 'debian:trixie', cgroup: 2 },
      environment: {},
      gone: death.signal,
      fork: fork ?? (async () => vm(`v2-${deaths.size}`)),
      stop: async () => void living.delete(hostname),
    } as unknown as StartedKernelVm
  }
  const directory = async () => place
  const { vms, socket } = await OwnVms.open({
    firsts: [{ started: Promise.resolve(vm('v2')) }],
    isolation,
    directory,
    fates: new Fates(directory),
    logs: {
      follow: async () => {},
      keep: async ({ hostname }) => {
        keeping.begun++
        await keeping.hold
        kept.push(hostname)
      },
    },
  })
  cleanUps.push(() => vms[Symbol.asyncDispose]())
  const take = async (worker: string) => {
    const [taken] = await takeVms([{ kind: 'own', name: 'v2', socket, index: 0 }], { worker })
    if (taken === undefined) throw new Error('no VM was taken')
    cleanUps.push(() => taken.release())
    return { ...taken, hostname: taken.kernel.dockerHost.slice('unix:///'.length) }
  }
  return { vms, take, living, deaths, kept, keeping }
}

test('each worker has a VM, the first of them that which is there, and keeps it until the end', async () => {
  const { vms, take, living, kept } = await handOut('worker')
  const one = await take('1')
  expect(one.hostname).toBe('v2')
  one.release()
  const two = await take('2')
  expect(two.hostname).toBe('v2-1')
  expect((await take('1')).hostname).toBe('v2')
  expect([...living]).toEqual(['v2', 'v2-1'])
  await vms[Symbol.asyncDispose]()
  expect([...living]).toEqual([])
  expect(kept.sort()).toEqual(['v2', 'v2-1'])
})

test('a worker whose VM died gets another', async () => {
  const { take, deaths } = await handOut('worker')
  const taken = await take('1')
  deaths.get('v2')?.abort(new Error('panic'))
  await expect.poll(() => taken.gone.aborted).toBe(true)
  expect((await take('1')).hostname).toBe('v2-1')
})

test('each file has a VM, which ends when its worker lets go of it', async () => {
  const { take, living } = await handOut('file')
  const one = await take('1')
  const two = await take('1')
  expect([one.hostname, two.hostname]).toEqual(['v2', 'v2-1'])
  two.release()
  await expect.poll(() => [...living]).toEqual(['v2'])
})

test('why there is no VM is told to whoever asked for it, and he may ask again', async () => {
  let failing = true
  const { take } = await handOut('worker', {
    fork: async () => {
      throw new Error(failing ? 'the disk is full' : 'something else')
    },
  })
  await take('1')
  await expect(take('2')).rejects.toThrow('the disk is full')
  failing = false
  await expect(take('2')).rejects.toThrow('something else')
})

test('the end waits for VMs that are ending already', async () => {
  const { vms, take, living, keeping } = await handOut('file')
  const taken = await take('1')
  keeping.hold = new Promise((resolve) => {
    keeping.goOn = resolve
  })
  taken.release()
  await expect.poll(() => keeping.begun).toBe(1)
  const ended = vms[Symbol.asyncDispose]().then(() => [...living])
  keeping.goOn()
  expect(await ended).toEqual([])
})

test('at the end, nobody waits for a VM any more', async () => {
  const { vms, take } = await handOut('file', { fork: () => new Promise(() => {}) })
  await take('1')
  const waiting = take('2')
  await vms[Symbol.asyncDispose]()
  await expect(waiting).rejects.toMatchObject({ code: 'NO_VM_HANDED_OUT' })
})
