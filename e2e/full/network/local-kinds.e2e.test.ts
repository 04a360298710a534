// Kinds of ports at the address of a VM's own container, which this machine reaches: what is there is what a local engine has there.
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { ask, dial, greeter, listening, runService } from '../../support/service.ts'

/** For what a swarm does by itself, which takes its time under emulation. */
const deadline = { timeout: 200_000 }
let vm: StartedKernelVm

beforeAll(async () => {
  vm = await new KernelVm({ name: 'local', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  return () => vm.stop()
})

test('all of a range are reached, over TCP and UDP, and again after a restart', async () => {
  expect(vm.address).not.toMatch(/^127\./)
  await runService(vm, 'ranged', '--publish', '8200-8202:79-81', '--publish', '8200-8202:79-81/udp')
  expect(await dial(vm.address, 8201)).toBe('ranged')
  expect(await ask(vm.address, 8201, 'hello')).toBe('ranged hello')
  for (const port of [8200, 8202]) await expect(dial(vm.address, port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await docker(vm, ['restart', '--time', '0', 'ranged'])
  await listening(vm, 'ranged', 2)
  expect(await dial(vm.address, 8201)).toBe('ranged')
  await docker(vm, ['rm', '--force', 'ranged'])
})

test('a container on the network of its host is at its own ports, over TCP and UDP', async () => {
  await runService(vm, 'hosted', '--network', 'host')
  expect(await dial(vm.address, 80)).toBe('hosted')
  expect(await ask(vm.address, 80, 'hello')).toBe('hosted hello')
  await docker(vm, ['rm', '--force', 'hosted'])
})

test("what is published at one address of the guest is the guest's own", async () => {
  await runService(vm, 'own', '--publish', '127.0.0.1:8203:80')
  await expect(dial(vm.address, 8203)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const { stdout } = await vm.exec(['/.testkernels/bin/nc', '127.0.0.1', '8203'], { stdin: '' })
  expect(stdout).toBe('own')
  await docker(vm, ['rm', '--force', 'own'])
})

test("a swarm's service is reached through its ingress", async () => {
  await docker(vm, ['swarm', 'init', '--advertise-addr', '192.0.2.2'])
  await docker(vm, ['service', 'create', '--detach', '--name', 'web', '--publish', '8204:80', fixtureImage, ...greeter])
  await expect.poll(() => dial(vm.address, 8204).catch(String), deadline).toMatch(/^[0-9a-f]{12}$/)
  await docker(vm, ['swarm', 'leave', '--force'])
})
