// Ports of containers where the VM's own address is out of reach: at a loopback address of the VM's, open when a start is answered.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../support/docker.ts'
import { fixtureImage, fixtureTar } from '../support/env.ts'
import { ask, dial, listening, runService } from '../support/service.ts'

/** Each is connected to at once, and only once. */
const STARTS = Number(process.env['TESTKERNELS_E2E_STARTS'] ?? 3)
/** For what comes by itself, which takes its time under emulation, that of a swarm above all. */
const deadline = { timeout: 200_000 }
let vm: StartedKernelVm

beforeAll(async () => {
  vi.stubEnv('TESTKERNELS_PORTS', 'forwarded')
  vm = await start('forwarded')
})
afterAll(async () => {
  await vm?.stop()
  vi.unstubAllEnvs()
})

function start(name: string): Promise<StartedKernelVm> {
  return new KernelVm({ name, kernel: 'debian:bookworm', images: [fixtureTar] }).start()
}

/** Says its own name to who connects. */
const greeter = ['sh', '-c', 'while :; do hostname | nc -l -p 80; done']

function runGreeter(of: StartedKernelVm, name: string, ...options: string[]): Promise<string> {
  return docker(of, ['run', '--detach', '--name', name, '--hostname', name, ...options, fixtureImage, ...greeter])
}

test('is an address of this machine', () => {
  expect(vm.address).toMatch(/^127\./)
  expect(vm.environment['TESTCONTAINERS_HOST_OVERRIDE']).toBe(vm.address)
})

test(`${STARTS} containers, one after another: the first connection to each is taken`, async () => {
  for (let at = 0; at < STARTS; at++) {
    // The engine's own proxy has it before the container's program listens: a service that answers at once is what is asked for.
    await docker(vm, [
      'run',
      '--detach',
      '--name',
      'server',
      '--publish',
      '8088:80',
      fixtureImage,
      'httpd',
      '-f',
      '-p',
      '80',
    ])
    const socket = connect({ host: vm.address, port: 8088 })
    await once(socket, 'connect')
    socket.destroy()
    await docker(vm, ['rm', '--force', 'server'])
  }
})

test('ports that dockerd chooses, and all of a range, lead to their container', async () => {
  await runGreeter(vm, 'chosen', '--publish', '80')
  await runGreeter(vm, 'ranged', '--publish', '8100-8102:80-82')
  const chosen = Number((await docker(vm, ['port', 'chosen', '80/tcp'])).split(/[:\n]/)[1])
  await expect.poll(() => dial(vm.address, chosen), deadline).toBe('chosen')
  await expect.poll(() => dial(vm.address, 8100), deadline).toBe('ranged')
  await docker(vm, ['rm', '--force', 'chosen', 'ranged'])
})

test('a container that is restarted is there again; one that has ended is not', async () => {
  await runGreeter(vm, 'again', '--publish', '8090:80')
  await docker(vm, ['restart', '--time', '0', 'again'])
  await expect.poll(() => dial(vm.address, 8090), deadline).toBe('again')
  await docker(vm, ['rm', '--force', 'again'])
  await expect.poll(() => dial(vm.address, 8090).catch(({ code }) => code), deadline).toBe('ECONNREFUSED')
})

test('a port that is taken here fails the start by name', async () => {
  const taken: Server = createServer().listen(8091, vm.address)
  await once(taken, 'listening')
  const failed = await runGreeter(vm, 'clash', '--publish', '8091:80').catch(({ stderr }) => String(stderr))
  expect(failed).toMatch(/Error response from daemon: .*port 8091, which the container [0-9a-f]{12} publishes/)
  await expect.poll(() => docker(vm, ['inspect', '--format', '{{.State.Running}}', 'clash']), deadline).toBe('false')
  taken.close()
  await docker(vm, ['rm', '--force', 'clash'])
})

test('a port may be of UDP too: the first datagram is answered, each client hears its own answers, and a restart opens it again', async () => {
  await runService(vm, 'datagrams', '--publish', '8094:80', '--publish', '8094:80/udp')
  expect(await ask(vm.address, 8094, 'first')).toBe('datagrams first')
  const questions = Array.from({ length: 20 }, (_, at) => `question ${at}`)
  const answers = await Promise.all(questions.map((question) => ask(vm.address, 8094, question)))
  expect(answers).toEqual(questions.map((question) => `datagrams ${question}`))
  const long = 'x'.repeat(9_000)
  expect(await ask(vm.address, 8094, long)).toBe(`datagrams ${long}`)
  expect(await dial(vm.address, 8094)).toBe('datagrams')
  await docker(vm, ['restart', '--time', '0', 'datagrams'])
  await listening(vm, 'datagrams', 2)
  expect(await ask(vm.address, 8094, 'again')).toBe('datagrams again')
  await docker(vm, ['rm', '--force', 'datagrams'])
  // Nothing of ours has the port any more.
  await expect.poll(() => isFree(8094), deadline).toBe(true)
})

test("what is published at one address of the guest, or over IPv6 alone, is the guest's own", async () => {
  await runGreeter(vm, 'own', '--publish', '127.0.0.1:8096:80', '--publish', '[::]:8098:80')
  for (const port of [8096, 8098]) await expect(dial(vm.address, port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await docker(vm, ['rm', '--force', 'own'])
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

async function isFree(port: number): Promise<boolean> {
  const probe = createSocket('udp4').bind(port, vm.address)
  try {
    await once(probe, 'listening')
    return true
  } catch {
    return false
  } finally {
    probe.close()
  }
}

test('two VMs publish one port, and a clone has what its checkpoint ran', async () => {
  await runGreeter(vm, 'one', '--publish', '8092:80')
  await using checkpoint = await vm.checkpoint()
  await using clone = await checkpoint.fork()
  expect(clone.address).not.toBe(vm.address)
  await docker(clone, ['rm', '--force', 'one'])
  await runGreeter(clone, 'two', '--publish', '8092:80')
  await expect.poll(() => dial(vm.address, 8092), deadline).toBe('one')
  await expect.poll(() => dial(clone.address, 8092), deadline).toBe('two')
})
