import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { createAuthority } from '../buildkit/testing/certificates.ts'
import { kernelOf } from './kernel.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-kernel-'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(directory, { recursive: true })
})

test.each([
  ['unix', { DOCKER_HOST: 'unix:///nonexistent/docker.sock' }],
  ['tcp', { DOCKER_HOST: 'tcp://127.0.0.1:1' }],
  ['tcp with TLS', { DOCKER_HOST: 'tcp://127.0.0.1:1', DOCKER_TLS_VERIFY: '1' }],
  ['ssh', { DOCKER_HOST: 'ssh://nobody@127.0.0.1:1' }],
])("in a suite, whose DOCKER_HOST is the engine's (%s), docker() is a client of the VM", async (_way, environment) => {
  const { cert, key } = createAuthority('the authority')
  for (const [name, text] of Object.entries({ ca: cert, cert, key }))
    await writeFile(join(directory, `${name}.pem`), text)
  for (const [name, value] of Object.entries({ DOCKER_CERT_PATH: directory, ...environment })) vi.stubEnv(name, value)
  await using dockerd = await startFakeEngine(answerJson({ '/info': { ...goodInfo, Name: 'the VM' } }))
  const kernel = kernelOf({
    name: 'one',
    kernel: 'debian:bookworm',
    cgroup: 2,
    dockerHost: `unix://${dockerd.address.path}`,
    address: '127.0.0.1',
    environment: {},
  })
  expect((await kernel.docker().info()).Name).toBe('the VM')
})

test('a Testcontainers that takes another engine, because the VM does not answer it, is refused', async () => {
  const bridge = { IPAM: { Config: [{ Gateway: '192.0.2.1' }] } }
  await using other = await startFakeEngine(answerJson({ '/info': goodInfo, '/networks/bridge': bridge }))
  // Where it looks for a rootless engine; before that for this machine's, if there is one.
  await symlink(other.address.path, join(directory, 'docker.sock'))
  vi.stubEnv('XDG_RUNTIME_DIR', directory)
  const dockerHost = 'unix:///nonexistent/docker.sock'
  const kernel = { name: 'one', kernel: 'debian:bookworm', cgroup: 2, address: '127.0.0.1', dockerHost } as const
  await expect(
    kernelOf({ ...kernel, environment: { DOCKER_HOST: dockerHost } }).testcontainers(),
  ).rejects.toMatchObject({
    code: 'TESTCONTAINERS_UNAVAILABLE',
    message: expect.stringContaining('it has taken another engine'),
  })
})
