// An image of ours in the hands of the docker command line alone: no option of ours, no KVM, nobody who talks to the guest.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Program } from '../support/program.ts'
import { testkernels } from '../support/run.ts'

const run = promisify(execFile)
const tag = `testkernels-e2e/standalone:${randomBytes(4).toString('hex')}`
/** Docker kills what has not ended by then. The status tells which it was: 137 is that of SIGKILL. */
const STOP_SECONDS = '60'
const LOGGED_DEADLINE_MS = 60_000
const endedBySigterm = { code: 143, signal: null }

beforeAll(async () => {
  await using build = await testkernels(['build', '--kernel', 'debian:bookworm', '--tag', tag])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
})

afterAll(async () => {
  await new Docker().getImage(tag).remove()
})

/** `docker run --rm OPTIONS IMAGE`, in the foreground. */
function start(...options: string[]) {
  const name = `testkernels-e2e-${randomBytes(4).toString('hex')}`
  const program = new Program(['docker', 'run', '--rm', '--name', name, ...options, tag])
  const dispose = async () => {
    // Gone already, unless the test failed.
    await run('docker', ['rm', '--force', name]).catch(() => {})
    await program[Symbol.asyncDispose]()
  }
  return { name, program, [Symbol.asyncDispose]: dispose }
}

test('the image runs by itself, says on its console when dockerd answers, and ends at docker stop', async () => {
  await using container = start()
  const { name, program } = container
  await program.printed('stdout', /^testkernels: dockerd answers after \d+ s\r?$/m)
  expect(program.stdout).toMatch(/^\[ +0\.000000\] Linux version 6\.1\./m)
  // The engine writes its log apart from what it passes on.
  const logs = () => run('docker', ['logs', name]).then(({ stdout }) => stdout)
  await expect.poll(logs, { timeout: LOGGED_DEADLINE_MS }).toContain('testkernels: dockerd answers')
  await run('docker', ['stop', '-t', STOP_SECONDS, name])
  expect(await program.exit).toEqual(endedBySigterm)
})

test('with a tap device the guest is in the network of its container', async () => {
  await using container = start('--device', '/dev/net/tun', '--cap-add', 'NET_ADMIN')
  const { name, program } = container
  await program.printed('stdout', /^testkernels: dockerd answers/m)
  // Nothing listens at that port of the guest; but who refuses a connection, is there.
  const connecting = run('docker', ['exec', name, 'bash', '-c', ': </dev/tcp/192.0.2.2/9'])
  await expect(connecting).rejects.toMatchObject({ stderr: expect.stringContaining('Connection refused') })
  await run('docker', ['stop', '-t', STOP_SECONDS, name])
  expect(await program.exit).toEqual(endedBySigterm)
})

test('without a tap device nothing is started that TESTKERNELS_EGRESS is to hold', async () => {
  await using container = start('--env', 'TESTKERNELS_EGRESS=none')
  expect(await container.program.exit).toEqual({ code: 1, signal: null })
  expect(container.program.stderr).toContain('cannot hold the guest to TESTKERNELS_EGRESS without a tap device')
})

test('docker stop ends it while it boots, too', async () => {
  await using container = start()
  const { name, program } = container
  await program.printed('stdout', /Linux version/)
  await run('docker', ['stop', '-t', STOP_SECONDS, name])
  expect(await program.exit).toEqual(endedBySigterm)
})
