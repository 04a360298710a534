import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { fixtureImage } from '../support/env.ts'

const run = promisify(execFile)

test('a published port is reached at once', async () => {
  const { stdout } = await run('docker', [
    'run',
    '--detach',
    '--rm',
    '--publish',
    '8081:8080',
    fixtureImage,
    'httpd',
    '-f',
    '-p',
    '8080',
  ])
  try {
    const response = await fetch(`http://${process.env['TESTCONTAINERS_HOST_OVERRIDE']}:8081/bin/busybox`)
    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(1_000_000)
  } finally {
    await run('docker', ['rm', '--force', stdout.trim()])
  }
})

test("containers of the guest have addresses apart from the engine's", async () => {
  const { stdout } = await run('docker', ['run', '--rm', fixtureImage, 'ip', '-4', 'addr', 'show', 'eth0'])
  expect(stdout).toMatch(/inet 10\.201\./)
})
