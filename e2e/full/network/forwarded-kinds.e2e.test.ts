// More kinds of ports of containers where the VM's own address is out of reach: at a loopback address of the VM's, open when a start is answered.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage } from '../../support/env.ts'
import { startForwarded } from '../../support/forwarded.ts'
import { ask, dial, greeter, runGreeter, runService } from '../../support/service.ts'

/** For what comes by itself, which takes its time under emulation, that of a swarm above all. */
const deadline = { timeout: 200_000 }
let vm: StartedKernelVm
startForwarded((started) => {
  vm = started
})

test('ports that dockerd chooses, and all of a range, lead to their container', async () => {
  await runGreeter(vm, 'chosen', '--publish', '80')
  const each = 'for port in 80 81 82; do while :; do echo $port | nc -l -p $port; done & done; wait'
  await docker(vm, [
    'run',
    '--detach',
    '--name',
    'ranged',
    '--publish',
    '8100-8102:80-82',
    fixtureImage,
    'sh',
    '-c',
    each,
  ])
  const chosen = Number((await docker(vm, ['port', 'chosen', '80/tcp'])).split(/[:\n]/)[1])
  await expect.poll(() => dial(vm.address, chosen), deadline).toBe('chosen')
  for (const at of [0, 1, 2]) await expect.poll(() => dial(vm.address, 8100 + at), deadline).toBe(String(80 + at))
  await docker(vm, ['rm', '--force', 'chosen', 'ranged'])
})

test("what is published at one address of the guest is the guest's own", async () => {
  await runGreeter(vm, 'own', '--publish', '127.0.0.1:8096:80')
  await expect(dial(vm.address, 8096)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await docker(vm, ['rm', '--force', 'own'])
})

test('what is published over IPv6 alone is reached, over TCP and UDP', async () => {
  await runService(vm, 'six', '--publish', '[::]:8098:80', '--publish', '[::]:8098:80/udp')
  expect(await dial(vm.address, 8098)).toBe('six')
  expect(await ask(vm.address, 8098, 'hello')).toBe('six hello')
  await docker(vm, ['rm', '--force', 'six'])
})

test("a swarm's service is reached at its ports, and they go with it", async () => {
  await docker(vm, ['swarm', 'init', '--advertise-addr', '192.0.2.2'])
  const ports = ['--publish', '8097:80', '--publish', '80']
  await docker(vm, ['service', 'create', '--detach', '--name', 'web', ...ports, fixtureImage, ...greeter])
  // At once: the swarm takes connections when one of its tasks runs.
  ;(await connected(8097)).destroy()
  await expect.poll(() => dial(vm.address, 8097), deadline).toMatch(/^[0-9a-f]{12}$/)
  const published = ['service', 'inspect', '--format', '{{range .Endpoint.Ports}}{{.PublishedPort}} {{end}}', 'web']
  const chosen =
    (await docker(vm, published))
      .split(' ')
      .map(Number)
      .find((port) => port !== 8097) ?? 0
  await expect.poll(() => dial(vm.address, chosen), deadline).toMatch(/^[0-9a-f]{12}$/)
  await docker(vm, ['service', 'rm', 'web'])
  for (const port of [8097, chosen])
    await expect.poll(() => dial(vm.address, port).catch(({ code }) => code), deadline).toBe('ECONNREFUSED')
  await docker(vm, ['swarm', 'leave', '--force'])
})

async function connected(port: number) {
  const socket = connect({ host: vm.address, port })
  await once(socket, 'connect')
  return socket
}

test('a UDP port that is taken here fails the start by name', async () => {
  const taken = createSocket('udp4').bind(8095, vm.address)
  await once(taken, 'listening')
  const failed = await runGreeter(vm, 'taken', '--publish', '8095:80/udp').catch(({ stderr }) => String(stderr))
  expect(failed).toMatch(/Error response from daemon: .*UDP port 8095, which the container [0-9a-f]{12} publishes/)
  taken.close()
  await docker(vm, ['rm', '--force', 'taken'])
})
