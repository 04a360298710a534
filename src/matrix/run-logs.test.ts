import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'
import { RunLogs } from './run-logs.ts'

let cacheDirectory = ''
let consolePath = ''
const lines: string[] = []
const log = createLogger({ write: (line) => lines.push(line) })

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'tk-logs-'))
  consolePath = join(cacheDirectory, 'console')
  await writeFile(consolePath, 'Linux version\n')
  lines.length = 0
})

afterEach(() => rm(cacheDirectory, { recursive: true }))

function vm(exec: () => Promise<{ stdout: string }> = async () => ({ stdout: '[0.0] hello\n' })) {
  const death = new AbortController()
  return { death, vm: { hostname: 'v1', consolePath, gone: death.signal, exec } as unknown as StartedKernelVm }
}

async function kept(): Promise<Record<string, string>> {
  const [run = ''] = await readdir(join(cacheDirectory, 'runs'))
  const directory = join(cacheDirectory, 'runs', run)
  const names = await readdir(directory)
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name), 'utf8')])),
  )
}

test('keeps console and kernel log of a VM that ends, in a directory that is named once', async () => {
  const logs = new RunLogs({ cacheDirectory, log })
  const { vm: one } = vm()
  await logs.follow(one)
  await logs.follow(vm().vm)
  await logs.keep(one)
  expect(await kept()).toEqual({ 'v1.console.log': 'Linux version\n', 'v1.dmesg.log': '[0.0] hello\n' })
  expect(lines).toEqual([expect.stringMatching(/^consoles and kernel logs of this run: .*\/runs\/[\dT-]+-\w{6}$/)])
})

test('two runs of one moment have directories of their own: in containers they can have one process id', async () => {
  for (const logs of [1, 2].map(() => new RunLogs({ cacheDirectory, log }))) {
    const { vm: one } = vm()
    await logs.follow(one)
  }
  expect(new Set(await readdir(join(cacheDirectory, 'runs'))).size).toBe(2)
})

test('nobody else reads what guests say', async () => {
  await mkdir(join(cacheDirectory, 'runs'), { mode: 0o755 })
  await chmod(consolePath, 0o600)
  const logs = new RunLogs({ cacheDirectory, log })
  const { vm: one } = vm()
  await logs.follow(one)
  await logs.keep(one)
  const modes: string[] = []
  for (const name of await readdir(cacheDirectory, { recursive: true }))
    if (name.startsWith('runs')) modes.push(((await stat(join(cacheDirectory, name))).mode & 0o777).toString(8))
  expect(modes.sort()).toEqual(['600', '600', '700', '700'])
})

test('of a VM that dies its console is kept', async () => {
  const logs = new RunLogs({ cacheDirectory, log })
  const { vm: dying, death } = vm()
  await logs.follow(dying)
  death.abort(new Error('panic'))
  await expect.poll(kept).toEqual({ 'v1.console.log': 'Linux version\n' })
})

test('a kernel log that cannot be had fails nobody', async () => {
  const logs = new RunLogs({ cacheDirectory, log })
  const { vm: broken } = vm(() => Promise.reject(new Error('no dmesg')))
  await logs.follow(broken)
  await logs.keep(broken)
  expect(await kept()).toEqual({ 'v1.console.log': 'Linux version\n' })
})

test('logs of a week ago are removed', async () => {
  const old = join(cacheDirectory, 'runs/old')
  await mkdir(old, { recursive: true })
  const then = new Date(Date.now() - 8 * 24 * 3_600_000)
  await utimes(old, then, then)
  await new RunLogs({ cacheDirectory, log }).follow(vm().vm)
  expect(await readdir(join(cacheDirectory, 'runs'))).toEqual([expect.not.stringMatching('old')])
})
