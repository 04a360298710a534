import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FateWatch } from './fate.ts'

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

function tell(fate: object): void {
  writeFileSync(`${path}.part`, JSON.stringify(fate))
  renameSync(`${path}.part`, path)
}

test('a VM that is ready already', async () => {
  tell({ kernel })
  watch = new FateWatch(path)
  expect(await watch.ready()).toEqual(kernel)
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
