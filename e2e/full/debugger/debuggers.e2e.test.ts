// What crash and drgn make of a guest's memory, and gdb of a guest that runs, with its kernel's debug information: Debian's, which is a package of
// its own.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImage } from '../../support/env.ts'
import { testkernels } from '../../support/run.ts'

const run = promisify(execFile)
const IMAGE = 'testkernels-e2e/debuggers'
const fixture = join(import.meta.dirname, '../../../fixtures/debuggers')
/** A package of 280 MB is fetched, and 590 MB of it unpacked. */
const BUILD_DEADLINE_MS = 900_000
const DEBUGGER_DEADLINE_MS = 300_000
const KERNEL = 'debian:bookworm'

let directory: string
let release: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-debuggers-'))
  await using vm = await new KernelVm({ kernel: KERNEL }).withName('debugged').start()
  release = vm.kernelRelease ?? ''
  const { modules } = await vm.debugger.openGdb()
  const files = modules.map(({ file = '' }) => file).join(' ')
  const values = [`BASE=${baseImage}`, `RELEASE=${release}`, `MODULES=${files}`]
  const buildArgs = values.flatMap((argument) => ['--build-arg', argument])
  // The engine's own, which needs no plugin of the docker command line.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await run('docker', ['build', '--tag', IMAGE, ...buildArgs, fixture], { env, timeout: BUILD_DEADLINE_MS })
}, BUILD_DEADLINE_MS)

afterAll(async () => {
  await rm(directory, { recursive: true })
  await run('docker', ['rmi', IMAGE])
})

/** What a debugger prints that has these directories, and is told what to do. */
async function debug(directories: readonly string[], ...argv: readonly string[]): Promise<string> {
  const mounts = directories.flatMap((path) => ['-v', path])
  const box = ['run', '--rm', '--network', 'none', ...mounts, IMAGE, ...argv]
  return (await run('docker', box, { timeout: DEBUGGER_DEADLINE_MS })).stdout
}

const withCore = () => [`${directory}:/cores:ro`, `${fixture}:/fixture:ro`]

test('crash and drgn tell where a guest was that panicked', { timeout: DEBUGGER_DEADLINE_MS * 2 }, async () => {
  await using vm = await new KernelVm({ kernel: KERNEL }).withName('debugged').start()
  await vm.debugger.saveVmcoreAtPanic(join(directory, 'vmcore'))
  const gone = once(vm.gone, 'abort')
  // Saving its memory may take longer than the command's connection lasts.
  await expect(vm.exec('echo c >/proc/sysrq-trigger')).rejects.toThrow()
  await gone
  expect(vm.gone.reason).toMatchObject({ code: 'VM_DIED' })

  const crash = await debug(withCore(), 'crash', '-s', '-i', '/fixture/commands.crash', '/vmlinux', '/cores/vmcore')
  expect(crash).toContain(`RELEASE: ${release}\n`)
  expect(crash).toContain('PANIC: "Kernel panic - not syncing: sysrq triggered crash"')
  expect(crash).toMatch(/#\d+ \[\w+\] write_sysrq_trigger at /)

  const drgn = await debug(withCore(), 'drgn', '-q', '-c', '/cores/vmcore', '-s', '/vmlinux', '/fixture/commands.py')
  expect(drgn).toContain(`${release}\n`)
  expect(drgn).toMatch(/write_sysrq_trigger \(drivers\/tty\/sysrq\.c:\d+/)
})

test('and what ran when a command had failed', { timeout: DEBUGGER_DEADLINE_MS * 2 }, async () => {
  const args = ['run', '--kernel', KERNEL, '--vmcore', join(directory, 'failed'), '--', 'sh', '-c', 'exit 3']
  await using failing = await testkernels(args)
  expect(await failing.program.exit).toEqual({ code: 3, signal: null })
  const core = '/cores/failed'
  // Nobody has panicked, and crash looks for who did where it is not told to do less.
  const script = ['--minimal', '-s', '-i', '/fixture/running.crash']
  const crash = await debug(withCore(), 'crash', ...script, '/vmlinux', core)
  expect(crash).toContain(`Linux version ${release} (`)
  expect(crash).toMatch(/\] overlayfs: |\] Initializing XFRM netlink socket/)
  const drgn = await debug(withCore(), 'drgn', '-q', '-c', core, '-s', '/vmlinux', '/fixture/running.py')
  expect(drgn).toContain(`${release}\n`)
  expect(drgn).toContain('task dockerd\n')
})

test('gdb, as run --gdb says, stops in a function of a module', { timeout: DEBUGGER_DEADLINE_MS * 2 }, async () => {
  await using vm = await testkernels(['run', '--kernel', KERNEL, '--name', 'debugged', '--gdb'])
  await vm.program.printed('stderr', /^The VM is up/m)
  const [, command = ''] = /^ +(gdb .*)$/m.exec(vm.program.stderr) ?? []
  expect(vm.program.stderr).toMatch(/modules\.gdb has those of the modules that are loaded: [1-9]\d*$/m)
  // The guest's root is an overlay.
  await using shell = await testkernels(['shell', 'debugged'], { env: { TESTKERNELS_RUN_DIR: vm.runDirectory } })
  shell.program.input('while :; do cat /etc/hostname; done\n')
  await shell.program.printed('stdout', /^debugged$/m)
  const words = ['info symbol ovl_open', 'break ovl_open', 'continue', 'backtrace']
  const script = `${command} -batch ${words.map((one) => `-ex '${one}'`).join(' ')}`
  const said = await debug([`${vm.runDirectory}:${vm.runDirectory}`], 'sh', '-c', script)
  expect(said).toMatch(/^ovl_open in section \.text of \/usr\/lib\/debug\/.*\/overlay\.ko$/m)
  expect(said).toMatch(/ hit Breakpoint 1, (0x\w+ in )?ovl_open \(.*\) at .*fs\/overlayfs\/file\.c:\d+$/m)
  expect(said).toMatch(/^#[1-9].* vfs_open \(.*\) at .*fs\/open\.c:\d+$/m)
  // It has left.
  const before = shell.program.stdout.length
  await expect.poll(() => shell.program.stdout.length, { timeout: DEBUGGER_DEADLINE_MS }).toBeGreaterThan(before)
})
