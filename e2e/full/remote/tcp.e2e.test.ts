// An engine that is reached over TCP, with TLS and without: this machine's, in the place of another machine's.
import { readFile } from 'node:fs/promises'
import { KernelVm } from 'testkernels'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { Certificates, type RemoteEngine, startRemoteEngine } from '../../support/remote-engine.ts'
import { ask, dial, runService } from '../../support/service.ts'

let certificates: Certificates

beforeAll(async () => {
  certificates = await Certificates.make()
})
afterAll(() => certificates[Symbol.asyncDispose]())
afterEach(() => {
  vi.unstubAllEnvs()
})

function use({ environment }: RemoteEngine): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
}

test.each(['tcp', 'tls'] as const)('over %s: published ports, commands, copies, a checkpoint', async (kind) => {
  await using remote = await startRemoteEngine(kind === 'tls' ? { certificates } : {})
  use(remote)
  await using vm = await new KernelVm({ name: 'far', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  expect(vm.address).toMatch(/^127\./)
  await runService(vm, 'service', '--publish', '8080:80', '--publish', '8080:80/udp')
  expect(await dial(vm.address, 8080)).toBe('service')
  expect(await ask(vm.address, 8080, 'hello')).toBe('service hello')
  expect((await vm.exec(['cat'], { stdin: 'from far away' })).stdout).toBe('from far away')
  await docker(vm, ['run', '--detach', '--name', 'copied', fixtureImage, 'sleep', '1000'])
  await docker(vm, ['cp', import.meta.filename, 'copied:/tmp/copy'])
  const copy = await docker(vm, ['exec', 'copied', 'cat', '/tmp/copy'])
  expect(copy).toBe((await readFile(import.meta.filename, 'utf8')).trim())
  await using checkpoint = await vm.checkpoint()
  await using clone = await checkpoint.fork()
  expect(await dial(clone.address, 8080)).toBe('service')
})
