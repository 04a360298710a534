import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import * as files from '../files/index.ts'
import { createLogger } from '../log/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { FateWatch } from '../worker/fate.ts'
import { Fates, failAll } from './fates.ts'

vi.mock(import('../files/index.ts'), { spy: true })

const cleanUps: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function fatesIn(): Promise<Fates> {
  const runtimeDirectory = await mkdtemp(join(tmpdir(), 'tk-fates-'))
  cleanUps.push(() => rm(runtimeDirectory, { recursive: true }))
  return new Fates(async () => runtimeDirectory)
}

async function pathOf(lease: Parameters<Fates['follow']>[0]): Promise<string> {
  const fates = await fatesIn()
  return (await fates.follow(lease)).path
}

function watching(path: string): FateWatch {
  const watch = new FateWatch(path)
  cleanUps.push(() => watch.close())
  return watch
}

function vm(): { death: AbortController; vm: StartedKernelVm } {
  const death = new AbortController()
  const started = {
    entry: { name: 'v1', kernel: 'debian:bookworm', cgroup: 1 },
    address: '127.93.4.17',
    forwards: {},
    gone: death.signal,
  }
  return { death, vm: started as unknown as StartedKernelVm }
}

test('a worker hears of a VM when it is ready, and of its death', async () => {
  const { death, vm: started } = vm()
  let ready: (vm: StartedKernelVm) => void = () => {}
  const starting = new Promise<StartedKernelVm>((resolve) => {
    ready = resolve
  })
  const watch = watching(await pathOf({ started: starting }))
  const kernel = watch.ready()
  ready(started)
  const told = await kernel
  expect(told).toMatchObject({ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 })
  // The engine's, which tests have not in their environment: its certificates are nothing to a VM.
  expect(Object.keys(told.environment)).toEqual(expect.arrayContaining(['DOCKER_TLS_VERIFY', 'DOCKER_CERT_PATH']))
  expect(watch.gone.aborted).toBe(false)

  death.abort(new InvalidOptionError({ what: 'the VM ended', entry: 'v1', remedy: 'read the console' }))
  await expect.poll(() => watch.gone.aborted).toBe(true)
  expect(watch.gone.reason.stack).toBe(
    'InvalidOptionError [INVALID_OPTION]: v1: the VM ended\n  remedy: read the console',
  )
  // Test files are still told which VM it was, so that each of their tests fails by its own name.
  expect(await watch.ready()).toMatchObject({ name: 'v1' })
})

test('a worker that comes late hears of everything at once', async () => {
  const { death, vm: started } = vm()
  const path = await pathOf({ started: Promise.resolve(started) })
  await watching(path).ready()
  death.abort(new Error('panic'))
  await expect.poll(() => watching(path).gone.reason?.message).toBe('panic')
})

test('a worker hears why there is no VM', async () => {
  const failing = Promise.reject(new Error('no engine'))
  failing.catch(() => {})
  const path = await pathOf({ started: failing })
  await expect(watching(path).ready()).rejects.toThrow('no engine')
})

test('where nothing can be written, no VM is followed', async () => {
  const fates = new Fates(async () => '/nonexistent/testkernels')
  await expect(fates.follow({ started: Promise.resolve(vm().vm) })).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    message: expect.stringContaining('TESTKERNELS_RUN_DIR'),
  })
})

test('when a disk is full, workers hear that they hear no more, and the user why', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  const runtimeDirectory = await mkdtemp(join(tmpdir(), 'tk-fates-'))
  cleanUps.push(() => rm(runtimeDirectory, { recursive: true }))
  const { death, vm: started } = vm()
  const { path, written } = await new Fates(async () => runtimeDirectory, { log }).follow({
    started: Promise.resolve(started),
  })
  await written
  const watch = watching(path)
  await watch.ready()
  const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  vi.mocked(files.replaceFile).mockRejectedValueOnce(full)
  death.abort(new Error('panic'))
  await expect.poll(() => watch.gone.reason?.message).toContain('workers cannot be told what becomes of their VM')
  expect(lines.join()).toContain('no space left on device')
})

test('when the end of who wrote them finds a full disk, all workers hear that they have no VM', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-fates-'))
  cleanUps.push(() => rm(directory, { recursive: true }))
  const fates = new Fates(async () => directory)
  const starting = { started: new Promise<StartedKernelVm>(() => {}) }
  const watches = [await fates.follow(starting), await fates.follow(starting)].map(({ path }) => watching(path))
  vi.mocked(files.replaceFileSync).mockImplementationOnce(() => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  })
  failAll(directory, new Error('the thread ended'))
  const told = await Promise.allSettled(watches.map((watch) => watch.ready()))
  expect(told.map((one) => one.status === 'rejected' && one.reason.message).sort()).toEqual([
    'the thread ended',
    expect.stringContaining('workers cannot be told what becomes of their VM'),
  ])
})

test('when the directory is gone as well, nothing more is thrown', () => {
  failAll(join(tmpdir(), 'tk-fates-nowhere'), new Error('the thread ended'))
})

test('others cannot look into the files', async () => {
  const path = await pathOf({ started: Promise.resolve(vm().vm) })
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)
})
