// What crash and drgn make of a guest's memory with its kernel's vmlinux: Debian's, whose debug information is a package of its own.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImage } from '../../support/env.ts'

const run = promisify(execFile)
const IMAGE = 'testkernels-e2e/debuggers'
const fixture = join(import.meta.dirname, '../../../fixtures/debuggers')
/** A package of 280 MB is fetched, and 590 MB of it unpacked. */
const BUILD_DEADLINE_MS = 900_000
const DEBUGGER_DEADLINE_MS = 300_000

let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-debuggers-'))
})

afterAll(async () => {
  await rm(directory, { recursive: true })
  await run('docker', ['rmi', IMAGE])
})

/** What a debugger prints that is given the directory with `vmcore` and is told what to do. */
async function debug(...argv: readonly string[]): Promise<string> {
  const box = [
    'run',
    '--rm',
    '--network',
    'none',
    '-v',
    `${directory}:/cores:ro`,
    '-v',
    `${fixture}:/fixture:ro`,
    IMAGE,
  ]
  const { stdout } = await run('docker', [...box, ...argv], { timeout: DEBUGGER_DEADLINE_MS })
  return stdout
}

test('crash and drgn tell where a guest was that panicked', { timeout: BUILD_DEADLINE_MS * 2 }, async () => {
  await using vm = await new KernelVm({ kernel: 'debian:bookworm' }).withName('debugged').start()
  const { kernelRelease = '' } = vm
  const buildArgs = [`BASE=${baseImage}`, `RELEASE=${kernelRelease}`].flatMap((argument) => ['--build-arg', argument])
  // The engine's own, which needs no plugin of the docker command line.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await run('docker', ['build', '--tag', IMAGE, ...buildArgs, fixture], { env, timeout: BUILD_DEADLINE_MS })

  await vm.debugger.saveVmcoreAtPanic(join(directory, 'vmcore'))
  const gone = once(vm.gone, 'abort')
  // Saving its memory may take longer than the command's connection lasts.
  await expect(vm.exec('echo c >/proc/sysrq-trigger')).rejects.toThrow()
  await gone
  expect(vm.gone.reason).toMatchObject({ code: 'VM_DIED' })

  const crash = await debug('crash', '-s', '-i', '/fixture/commands.crash', '/vmlinux', '/cores/vmcore')
  expect(crash).toContain(`RELEASE: ${kernelRelease}\n`)
  expect(crash).toContain('PANIC: "Kernel panic - not syncing: sysrq triggered crash"')
  expect(crash).toMatch(/#\d+ \[\w+\] write_sysrq_trigger at /)

  const drgn = await debug('drgn', '-q', '-c', '/cores/vmcore', '-s', '/vmlinux', '/fixture/commands.py')
  expect(drgn).toContain(`${kernelRelease}\n`)
  expect(drgn).toMatch(/write_sysrq_trigger \(drivers\/tty\/sysrq\.c:\d+/)
})
