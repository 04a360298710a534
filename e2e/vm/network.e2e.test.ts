import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { fixtureImage } from '../support/env.ts'
import { runWebServer } from '../support/service.ts'

const run = promisify(execFile)

test('a published port is reached at once', async () => {
  await runWebServer({ environment: process.env }, 'published', '--publish', '8081:80')
  try {
    const response = await fetch(`http://${process.env['TESTCONTAINERS_HOST_OVERRIDE']}:8081/bin/busybox`)
    expect(response.status).toBe(200)
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(1_000_000)
  } finally {
    await run('docker', ['rm', '--force', 'published'])
  }
})

test.each([
  ['SSH', 61022],
  ['the door', 61023],
])('a port that we come in by, that of %s, is refused by name', async (_of, port) => {
  const publish = run('docker', ['run', '--rm', '--publish', `${port}:80`, fixtureImage, 'true'])
  await expect(publish).rejects.toMatchObject({
    stderr: expect.stringContaining(`port ${port}, by which testkernels comes into the virtual machine`),
  })
})

test('host.docker.internal:host-gateway is this machine', async () => {
  const server = createServer((_, response) => response.end('this machine')).listen(0, '0.0.0.0')
  try {
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const named = ['--add-host', 'host.docker.internal:host-gateway']
    const get = ['wget', '-q', '-O', '-', `http://host.docker.internal:${port}/`]
    expect((await run('docker', ['run', '--rm', ...named, fixtureImage, ...get])).stdout).toBe('this machine')
  } finally {
    server.close()
  }
})

test("containers of the guest have addresses apart from the engine's", async () => {
  const { stdout } = await run('docker', ['run', '--rm', fixtureImage, 'ip', '-4', 'addr', 'show', 'eth0'])
  expect(stdout).toMatch(/inet 10\.201\./)
})
