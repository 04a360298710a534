// Ports of containers where the VM's own address is out of reach: at a loopback address of the VM's, open when a start is answered.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { docker } from '../support/docker.ts'
import { startForwarded } from '../support/forwarded.ts'
import { ask, dial, listening, runGreeter, runService } from '../support/service.ts'

/** For what comes by itself, which takes its time under emulation. */
const deadline = { timeout: 200_000 }
let vm: StartedKernelVm
startForwarded((started) => {
  vm = started
})

test('is an address of this machine', () => {
  expect(vm.address).toMatch(/^127\./)
  expect(vm.environment['TESTCONTAINERS_HOST_OVERRIDE']).toBe(vm.address)
})

test('a container that is restarted is there again; one that has ended is not', async () => {
  await runService(vm, 'again', '--publish', '8090:80')
  expect(await dial(vm.address, 8090)).toBe('again')
  await docker(vm, ['restart', '--time', '0', 'again'])
  // The port is open when docker says so, whether or not the program in the container listens yet.
  ;(await connected(8090)).destroy()
  await listening(vm, 'again', 2)
  expect(await dial(vm.address, 8090)).toBe('again')
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

async function connected(port: number): Promise<Socket> {
  const socket = connect({ host: vm.address, port })
  await once(socket, 'connect')
  return socket
}

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
