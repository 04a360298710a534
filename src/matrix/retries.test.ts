import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { cleanUp, serve } from './testing/lease-service.ts'

afterEach(cleanUp)

test.each(['project', 'worker', 'file'] as const)(
  'a test that is tried again has a fork each time, at the same addresses, and the next one the VM from before: %s',
  async (isolation) => {
    const { lease, living, entrances, directories } = await serve(isolation, { retryOn: 'fresh-vm' })
    const vm = await lease('1')
    const { kernel } = vm
    expect(kernel).toMatchObject({ dockerHost: 'unix:///entrance-0', address: '127.1.2.3' })
    expect(entrances).toEqual([{ to: 'v2', opened: 'v2' }])
    await vm.renew()
    expect(vm.isFresh).toBe(true)
    expect(vm.facts?.hostname).toBe('v2-1')
    expect(entrances).toEqual([{ to: 'v2-1', opened: 'v2' }])
    await vm.renew()
    expect(vm.facts?.hostname).toBe('v2-2')
    expect([...living]).toEqual(['v2', 'v2-2'])
    await vm.goBack()
    expect(vm.kernel).toBe(kernel)
    expect(vm.facts?.hostname).toBe('v2')
    expect(entrances).toEqual([{ to: 'v2', opened: 'v2' }])
    expect([...living]).toEqual(['v2'])
    vm.release()
    await expect.poll(() => [entrances.length, directories.size]).toEqual([0, 0])
    await expect.poll(() => [...living]).toEqual(isolation === 'file' ? [] : ['v2'])
  },
)

test('where the VM of a file has died, the fork on which its test was tried again takes its place', async () => {
  const { server, lease, deaths, living } = await serve('project', { retryOn: 'fresh-vm' })
  const vm = await lease('1')
  deaths.get('v2')?.abort(new Error('panic'))
  await expect.poll(() => vm.gone.aborted).toBe(true)
  await vm.renew()
  expect(vm.gone.aborted).toBe(false)
  await vm.goBack()
  expect(vm.isFresh).toBe(false)
  expect(vm.facts?.hostname).toBe('v2-1')
  expect(vm.gone.aborted).toBe(false)
  await server[Symbol.asyncDispose]()
  // Who started the first one ends it.
  expect([...living]).toEqual(['v2'])
})

test('where the VM died in a test file, the next file begins with a fork, which ends with it', async () => {
  const { lease, deaths, living, entrances } = await serve('project', { retryOn: 'fresh-vm' })
  const before = await lease('1')
  deaths.get('v2')?.abort(new Error('panic'))
  await expect.poll(() => before.gone.aborted).toBe(true)
  before.release()
  const vm = await lease('1')
  expect(vm.facts?.hostname).toBe('v2-1')
  expect(vm.gone.aborted).toBe(false)
  await vm.renew()
  expect(vm.facts?.hostname).toBe('v2-2')
  await vm.goBack()
  expect(vm.facts?.hostname).toBe('v2-1')
  vm.release()
  // Who started the first one ends it.
  await expect.poll(() => [[...living], entrances]).toEqual([['v2'], []])
})

test.each(['project', 'worker'] as const)(
  'nothing is written of a VM but for workers that are told of it: %s',
  async (isolation) => {
    const { server, lease } = await serve(isolation, { retryOn: 'fresh-vm' })
    await lease('1')
    const written = await readdir(dirname(server.socket))
    expect(written.filter((name) => name.endsWith('.json'))).toEqual(['0.json'])
  },
)

test('a worker that is killed while its test is tried again leaves no VM', async () => {
  const { lease, living, entrances } = await serve('project', { retryOn: 'fresh-vm' })
  const vm = await lease('1')
  await vm.renew()
  vm.release()
  await expect.poll(() => [...living]).toEqual(['v2'])
  await expect.poll(() => entrances).toEqual([])
})

test('where there is no fork, the worker hears why, and its tests go on', async () => {
  const fork = async () => {
    throw new Error('the disk is full')
  }
  const { lease, entrances } = await serve('project', { retryOn: 'fresh-vm', fork })
  const vm = await lease('1')
  await expect(vm.renew()).rejects.toThrow('the disk is full')
  await vm.goBack()
  expect(vm.facts?.hostname).toBe('v2')
  expect(entrances).toEqual([{ to: 'v2', opened: 'v2' }])
})

test('at the end nobody waits for a VM that is still to start', async () => {
  const { server, lease, entrances } = await serve('project', { retryOn: 'fresh-vm', first: new Promise(() => {}) })
  const waiting = lease('1')
  waiting.catch(() => {})
  await server[Symbol.asyncDispose]()
  await expect(waiting).rejects.toMatchObject({ code: 'VM_NOT_LEASED' })
  expect(entrances).toEqual([])
})
