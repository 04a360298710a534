// How a VM's owner gets into it: through its door, and over SSH only when a command needs it. And how nobody else does.
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { guestLink } from '../../src/qemu/index.ts'
import { docker } from '../support/docker.ts'
import { fixtureImage, fixtureTar } from '../support/env.ts'
import { runWebServer } from '../support/service.ts'

const { doorPort, sshPort, guestAddress } = guestLink
const EVENT_DEADLINE_MS = 60_000
let vm: StartedKernelVm

beforeAll(async () => {
  vm = await new KernelVm({ name: 'doored', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
})
afterAll(() => vm?.stop())

const runDirectory = () => dirname(vm.dockerHost.slice('unix://'.length))

/** What a container says that shares the guest's network. */
async function inGuest(...command: string[]): Promise<string> {
  return await docker(vm, ['run', '--rm', '--network', 'host', fixtureImage, ...command])
}

/** How many connections with a port of the guest's there are, as its kernel counts them. */
async function connectionsOf(port: number): Promise<number> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const established = new RegExp(`^\\s*\\d+: [0-9A-F]{8}:${hex} [0-9A-F]{8}:[0-9A-F]{4} 01 `)
  return (await inGuest('cat', '/proc/net/tcp')).split('\n').filter((line) => established.test(line)).length
}

/** What comes of a connection to a port of the container's address. */
async function reached(port: number): Promise<'connected' | 'refused'> {
  const socket = connect(port, vm.address)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(EVENT_DEADLINE_MS) })
    return 'connected'
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ECONNREFUSED') return 'refused'
    throw thrown
  } finally {
    socket.destroy()
  }
}

test('docker.sock needs no SSH, whose connection is made for the first command', async () => {
  expect(await connectionsOf(doorPort)).toBeGreaterThan(0)
  expect(await connectionsOf(sshPort)).toBe(0)
  expect((await vm.exec(['echo', 'here'])).stdout).toBe('here\n')
  expect(await connectionsOf(sshPort)).toBe(1)
})

test("after the guest's SSH server was killed, the next command has a new one", async () => {
  // The parent of the command's shell is the server of its connection.
  await expect(vm.exec(['sh', '-c', 'kill -KILL $PPID; sleep 1000'])).rejects.toMatchObject({
    code: 'SSH_CONNECTION_LOST',
  })
  expect((await vm.exec(['echo', 'again'])).stdout).toBe('again\n')
})

test("after the guest's end of the door was killed, it is opened again", async () => {
  const { exitCode } = await vm.exec(['sh', '-c', 'kill -KILL $(pidof door)']).catch(() => ({ exitCode: 0 }))
  expect(exitCode).toBe(0)
  await expect
    .poll(() => docker(vm, ['version', '--format', '{{.Server.Os}}']).catch(() => ''), {
      timeout: EVENT_DEADLINE_MS,
    })
    .toBe('linux')
  expect((await vm.exec(['echo', 'again'])).stdout).toBe('again\n')
})

test('who reaches the socket and does not know the secret is denied', async () => {
  const path = join(runDirectory(), 'door.sock')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const socket = connect({ path, allowHalfOpen: true })
  socket.write(`${'0'.repeat(64)} unix /var/run/docker.sock\n`)
  expect(await text(socket)).toBe('denied the secret is not that of this start\n')
})

test("neither SSH nor the door is at the container's address, where published ports are", async () => {
  await runWebServer(vm, 'published', '--publish', '8082:80')
  expect(await reached(8082)).toBe('connected')
  expect(await reached(sshPort)).toBe('refused')
  expect(await reached(doorPort)).toBe('refused')
  await docker(vm, ['rm', '--force', 'published'])
})

test('nor does a container in the guest get in', async () => {
  const from = async (...options: string[]) => {
    const script = (port: number) => `echo hello | nc -w 5 ${guestAddress} ${port}; echo "ended $?"`
    const run = (port: number) => docker(vm, ['run', '--rm', ...options, fixtureImage, 'sh', '-c', script(port)])
    return [await run(doorPort), await run(sshPort)]
  }
  // Not a word of either, on a network of the guest's dockerd and on the guest's own.
  for (const said of [...(await from()), ...(await from('--network', 'host'))]) expect(said).toMatch(/^ended \d+$/)
})
