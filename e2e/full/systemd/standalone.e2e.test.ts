// A guest with systemd in the hands of the docker command line alone.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { Program } from '../../support/program.ts'
import { testkernels } from '../../support/run.ts'

const run = promisify(execFile)
const id = randomBytes(4).toString('hex')
const tag = `testkernels-e2e/systemd:${id}`
const name = `testkernels-e2e-systemd-${id}`
/** A boot with systemd on a busy machine. */
const READY_DEADLINE_MS = 540_000

test('an image with systemd runs by itself, says on its console when dockerd answers, and ends at docker stop', async () => {
  const entry = ['--kernel', 'debian:bookworm', '--rootfs', 'debian:bookworm', '--init', 'systemd']
  await using build = await testkernels(['build', ...entry, '--tag', tag])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
  try {
    await using program = new Program(['docker', 'run', '--rm', '--name', name, tag])
    await program.printed('stdout', /^testkernels: dockerd answers after \d+ s\r?$/m, READY_DEADLINE_MS)
    await run('docker', ['stop', '-t', '60', name])
    expect(await program.exit).toEqual({ code: 143, signal: null })
  } finally {
    // Gone already, unless the test failed.
    await run('docker', ['rm', '--force', name]).catch(() => {})
    await new Docker().getImage(tag).remove()
  }
})
