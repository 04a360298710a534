// The memory of a guest as a file: of one that runs, of one that panicked, and of one whose command failed.
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm } from 'testkernels'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Certificates, startRemoteEngine } from '../../support/remote-engine.ts'
import { testkernels } from '../../support/run.ts'

const RAM_BYTES = 2048 * 1024 ** 2

const kernel = new KernelVm({ kernel: 'debian:bookworm' }).withName('debugged')
const execute = promisify(execFile)

let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-vmcore-'))
  path = join(directory, 'vmcore')
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(directory, { recursive: true })
})

/** What the kernel's own note says, as debuggers read it, by its keys. */
async function vmcoreinfo(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await execute('readelf', ['--notes', '--wide', path])
  const [, hex = ''] = /VMCOREINFO[\s\S]*?description data: ([0-9a-f ]+)/.exec(stdout) ?? []
  const text = Buffer.from(hex.replaceAll(' ', ''), 'hex').toString('latin1')
  return new Map(text.split('\n').map((line) => line.split('=', 2) as [string, string]))
}

/** Whether these words are somewhere in the memory. */
async function remembers(words: string): Promise<boolean> {
  let rest = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 4 * 1024 ** 2 })) {
    const piece = Buffer.concat([rest, chunk as Buffer])
    if (piece.includes(words)) return true
    rest = piece.subarray(-words.length)
  }
  return false
}

test('of a VM that runs, which goes on', async () => {
  await using vm = await kernel.start()
  const { stdout: release } = await vm.exec(['uname', '-r'])
  const { stdout: before } = await vm.exec('grep -c . /proc/uptime; echo kept >/tmp/kept')
  expect(before).toBe('1\n')
  const off = new AbortController()
  const calledOff = vm.debugger.saveVmcore(path, {
    signal: off.signal,
    onProgress: () => off.abort(new Error('called off')),
  })
  await expect(calledOff).rejects.toThrow('called off')
  expect(await readdir(directory)).toEqual([])
  const saved = await vm.debugger.saveVmcore(path)
  expect(saved).toMatchObject({ path, hasVmcoreinfo: true })
  expect((await vm.exec('cat /tmp/kept')).stdout).toBe('kept\n')
  const { size, blocks, mode } = await stat(path)
  expect(size).toBe(saved.sizeBytes)
  expect(size).toBeGreaterThan(RAM_BYTES)
  expect(blocks * 512).toBeLessThan(RAM_BYTES)
  expect(mode & 0o777).toBe(0o600)
  const info = await vmcoreinfo()
  expect(info.get('OSRELEASE')).toBe(release.trim())
  expect(info.get('KERNELOFFSET')).toMatch(/^[0-9a-f]+$/)
  // Where debuggers begin: the page tables are in the kernel's image.
  const { stdout: segments } = await execute('readelf', ['--segments', '--wide', path])
  expect(segments).toMatch(new RegExp(`LOAD +0x[0-9a-f]+ 0x${info.get('SYMBOL(_stext)')} `))
  expect(await remembers(`Linux version ${release.trim()} (`)).toBe(true)
  expect(await readdir(directory)).toEqual(['vmcore'])
})

test('of a VM that panics, whose end is told as ever', async () => {
  await using vm = await kernel.start()
  await vm.debugger.saveVmcoreAtPanic(path)
  const gone = new Promise((resolve) =>
    vm.gone.addEventListener('abort', () => resolve(vm.gone.reason), { once: true }),
  )
  await expect(vm.exec('echo c >/proc/sysrq-trigger')).rejects.toThrow('kernel panic: sysrq triggered crash')
  expect(await gone).toMatchObject({ code: 'VM_DIED' })
  expect(await remembers('Kernel panic - not syncing: sysrq triggered crash')).toBe(true)
  const { stdout } = await execute('readelf', ['--file-header', path])
  expect(stdout).toContain('X86-64')
})

test('of a VM on an engine elsewhere', async () => {
  await using certificates = await Certificates.make()
  await using remote = await startRemoteEngine({ certificates })
  for (const [name, value] of Object.entries(remote.environment)) vi.stubEnv(name, value)
  await using vm = await kernel.start()
  expect(await vm.debugger.saveVmcore(path)).toMatchObject({ hasVmcoreinfo: true })
  expect((await vmcoreinfo()).get('OSRELEASE')).toBe(vm.kernelRelease)
})

test('of the VM of a command that fails', async () => {
  const run = ['run', '--kernel', 'debian:bookworm', '--vmcore', path, '--']
  await using passes = await testkernels([...run, 'true'])
  expect(await passes.program.exit).toEqual({ code: 0, signal: null })
  expect(await readdir(directory)).toEqual([])
  await using fails = await testkernels([...run, 'sh', '-c', 'exit 3'])
  expect(await fails.program.exit).toEqual({ code: 3, signal: null })
  expect(fails.program.stderr).toContain(`its memory is in ${path}`)
  expect((await stat(path)).size).toBeGreaterThan(RAM_BYTES)
  await fails.gone()
})

test('of each entry of a matrix whose command fails', async () => {
  const file = join(import.meta.dirname, '../../../fixtures/matrix/testkernels.config.ts')
  const failing = 'test "$TESTKERNELS_ENTRY" != bookworm-cgroupv1'
  await using run = await testkernels(['run', '--matrix', file, '--vmcore', path, '--', 'sh', '-c', failing])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  expect(await readdir(directory)).toEqual(['vmcore.bookworm-cgroupv1'])
  expect(run.program.stderr).toContain(`[bookworm-cgroupv1] its memory is in ${path}.bookworm-cgroupv1`)
  expect((await stat(`${path}.bookworm-cgroupv1`)).size).toBeGreaterThan(RAM_BYTES)
  await run.gone()
})
