import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Fate, FateWatch, textOfFate } from './fate.ts'

const kernel = {
  name: 'one',
  kernel: 'debian:bookworm',
  cgroup: 2,
  dockerHost: '',
  address: '',
  environment: {},
} as const

let directory: string
let path: string
let watch: FateWatch | undefined

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'fate-'))
  path = join(directory, '0.json')
})

afterEach(() => {
  vi.useRealTimers()
  watch?.close()
  rmSync(directory, { recursive: true })
})

function tell(fate: Fate): void {
  writeFileSync(`${path}.part`, textOfFate(fate))
  renameSync(`${path}.part`, path)
}

test('a VM that is ready already', async () => {
  tell({ kernel })
  watch = new FateWatch(path)
  expect(await watch.ready()).toEqual(kernel)
})

test('variables that must not be set are among those that a worker has', async () => {
  tell({ kernel: { ...kernel, environment: { DOCKER_HOST: 'unix:///x', DOCKER_TLS_VERIFY: undefined } } })
  watch = new FateWatch(path)
  const { environment } = await watch.ready()
  expect(Object.entries(environment)).toEqual([
    ['DOCKER_HOST', 'unix:///x'],
    ['DOCKER_TLS_VERIFY', undefined],
  ])
})

test('a VM that gets ready right after the first look', async () => {
  watch = new FateWatch(path)
  tell({ kernel })
  expect(await watch.ready()).toEqual(kernel)
})

test('a VM that does not start', async () => {
  watch = new FateWatch(path)
  tell({ failure: { title: 'VmDiedError', message: 'one: the VM ended' } })
  await expect(watch.ready()).rejects.toThrow('one: the VM ended')
})

test('a VM that dies where tests have timers of their own', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'Date'] })
  tell({ kernel })
  watch = new FateWatch(path)
  const { gone } = watch
  await watch.ready()
  tell({ kernel, failure: { title: 'VmDiedError', message: 'one: the VM ended' } })
  await new Promise((resolve) => gone.addEventListener('abort', resolve))
  expect(gone.reason).toMatchObject({ name: 'VmDiedError', message: 'one: the VM ended' })
})
