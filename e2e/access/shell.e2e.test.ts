// `testkernels shell` on a terminal of util-linux's script, and on none, in a VM that another process has.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../support/program.ts'
import { type Run, testkernels } from '../support/run.ts'

const run = promisify(execFile)
let vm: Run
beforeAll(async () => {
  vm = await testkernels(['run', '--kernel', 'debian:bookworm', '--name', 'shelled'])
  await vm.program.printed('stderr', /^The VM is up/m)
})
afterAll(() => vm?.[Symbol.asyncDispose]())

const main = new URL('../../dist/cli/main.js', import.meta.url).pathname

/** Finds the VM of the other process by its run directory. */
function shell(args: readonly string[] = [], terminal: 'pty' | 'none' = 'none'): Program {
  const env = { ...process.env, TESTKERNELS_RUN_DIR: vm.runDirectory, TERM: 'xterm', SHELL: '/bin/sh' }
  const argv = [process.execPath, main, 'shell', ...args]
  if (terminal === 'none') return new Program(argv, { env })
  return new Program(['script', '-qefc', argv.join(' '), '/dev/null'], { env })
}

test('a terminal has its size and its keys; the size follows, and the status is passed on', async () => {
  await using program = shell([], 'pty')
  // What is typed before the shell asks for it may be thrown away with the mode that its terminal had.
  await program.printed('stdout', /# $/)
  program.type('stty size; tty; hostname\r')
  await program.printed('stdout', /[\r\n]0 0\s+\/dev\/pts\/\d+\s+shelled\r[\s\S]*# $/)

  // The terminal that script made is that of its child.
  const { stdout } = await run('ps', ['--ppid', String(program.pid), '-o', 'tty='])
  const script = 'trap "echo resized; stty size; exit" WINCH; echo waiting; while :; do sleep 0.1; done'
  program.type(`sh -c '${script}'\r`)
  await program.printed('stdout', /[\r\n]waiting\r/)
  await run('stty', ['-F', `/dev/${stdout.trim()}`, 'rows', '33', 'cols', '101'])
  await program.printed('stdout', /[\r\n]resized\s+33 101\r[\s\S]*# $/)

  // Not the end of testkernels, but of what runs in the guest.
  // One command, because a shell that is between two of them takes the key for neither.
  program.type('sh -c "echo began; exec sleep 1000"\r')
  await program.printed('stdout', /[\r\n]began\r/)
  program.type('\x03')
  await program.printed('stdout', /[\r\n]began\r[\s\S]*# $/)
  program.type('echo status $?\r')
  await program.printed('stdout', /[\r\n]status 130\r[\s\S]*# $/)
  program.type('exit 7\r')
  expect(await program.exit).toEqual({ code: 7, signal: null })
})

test('without a terminal it reads its commands; the user and the VM are those that are named', async () => {
  await using program = shell(['--user', 'nobody', 'shelled'])
  program.input('id -un\n')
  // Debian's nobody may not log in.
  expect(await program.exit).toEqual({ code: 1, signal: null })
  await using other = shell(['--user', 'www-data', 'no-such-vm'])
  expect(await other.exit).toEqual({ code: 125, signal: null })
  expect(other.stderr).toMatch(/^error \[VM_NOT_FOUND\]: no virtual machine named 'no-such-vm' runs/m)
  expect(other.stderr).toMatch(/\| shelled +\d+-\w{6} {2}debian:bookworm/)
  await using piped = shell()
  piped.input('hostname; exit 3\n')
  expect(await piped.exit).toEqual({ code: 3, signal: null })
  expect(piped.stdout).toBe('shelled\n')
})
