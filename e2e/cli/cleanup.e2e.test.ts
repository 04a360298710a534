// However a run ends: no container, no QEMU and no socket of ours is left.
import { basename } from 'node:path'
import { expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

const bookworm = ['run', '--kernel', 'debian:bookworm']

test('SIGTERM ends the command, then the VM', async ({ annotate }) => {
  await using run = await testkernels([...bookworm, '--', 'sh', '-c', 'echo up; exec sleep 1000'])
  await run.program.printed('stdout', /^up$/m)
  const qemus = await run.qemus()
  // QEMU's, the door's, and this machine's: the guest's dockerd, and its SSH server for `testkernels shell`.
  const sockets = ['control', 'docker', 'door', 'host-ports', 'monitor', 'ssh']
  expect(run.sockets.map((path) => basename(path, '.sock')).sort()).toEqual(sockets)
  run.program.kill('SIGTERM')
  await annotate(`nothing left after ${await run.gone(qemus)} ms`)
  expect(await run.program.exit).toEqual({ code: 143, signal: null })
})

test('SIGKILL of the runner ends the VM, and the command with what it started', async ({ annotate }) => {
  await using run = await testkernels([...bookworm, '--', 'sh', '-c', 'sleep 1000 & echo up; wait'])
  await run.program.printed('stdout', /^up$/m)
  const qemus = await run.qemus()
  run.program.kill('SIGKILL')
  await annotate(`nothing left after ${await run.gone(qemus)} ms`)
  // Comes when both have closed the output that they have from us.
  expect((await run.program.exit).signal).toBe('SIGKILL')
})

test('Ctrl-C during the boot is no error', async ({ annotate }) => {
  await using run = await testkernels([...bookworm, '--no-template', '--', 'true'])
  const qemus = await run.qemus()
  run.program.kill('SIGINT')
  await annotate(`nothing left after ${await run.gone(qemus)} ms`)
  expect(await run.program.exit).toEqual({ code: 130, signal: null })
  expect(run.program.stderr).not.toContain('error')
})
