// An engine whose network takes packets of 1400 bytes, as those of VPNs and clouds do, and a way to a server on which who sends longer ones is
// not told so: a connection with them stalls. It has no link but the test's.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import {
  canIsolate,
  type IsolatedEngine,
  inNetworkOf,
  linkTo,
  loadImagesInto,
  startIsolatedEngine,
} from '../../support/isolated-engine.ts'
import { loadTar } from '../../support/load-tar.ts'
import { vmImageNames } from '../../support/templates.ts'

const run = promisify(execFile)
/** For documentation (RFC 5737), so that no network has them. */
const [HERE, THERE] = ['198.51.100.5', '198.51.100.6']
/** The name of both its ends. */
const LINK = `tk-mtu-${process.pid}`
const MTU = 1400
/** What a stalled connection does not get over. */
const SENT = randomBytes(4 * 2 ** 20)
const PORT = 8099
/** A connection on which nothing came for so long is stalled. */
const STALLED_S = 20

/** An engine with a link to this machine. */
async function startShortEngine(): Promise<IsolatedEngine> {
  const engine = await startIsolatedEngine({ storageDriver: 'overlay2', flags: ['--mtu', String(MTU)] })
  await connectNetwork(engine)
  return engine
}

/** What is sent over it is not told that it is too long. */
async function connectNetwork(engine: IsolatedEngine): Promise<void> {
  await linkTo(engine, { name: LINK, here: HERE, there: THERE })
  const iptables = [...inNetworkOf(engine), 'iptables'] as const
  for (const [program, ...args] of [
    [...iptables, '-t', 'nat', '-A', 'POSTROUTING', '-o', LINK, '-j', 'MASQUERADE'],
    [...iptables, '-A', 'OUTPUT', '-o', LINK, '-p', 'icmp', '-j', 'DROP'],
  ] as const)
    await run(program, args)
}

async function startServer(): Promise<AsyncDisposable> {
  const server = createServer((_, response) => response.end(SENT)).listen(PORT, HERE)
  await once(server, 'listening')
  return server
}

let engine: IsolatedEngine
let server: AsyncDisposable

beforeAll(async () => {
  if (!canIsolate) return
  engine = await startShortEngine()
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await engine?.[Symbol.asyncDispose]()
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const get = ['wget', '-q', '-O', '-', `http://${HERE}:${PORT}/`]

/** How many bytes of what the server sends arrive. */
const received = async (vm: StartedKernelVm) => (await vm.exec(`/.testkernels/bin/${get.join(' ')} | wc -c`)).stdout

/** The same in a container; and the MTU of its link. */
async function inContainer(vm: StartedKernelVm, ...options: string[]): Promise<string> {
  const script = `cat /sys/class/net/eth0/mtu; ${get.join(' ')} | wc -c`
  return await docker(vm, ['run', '--rm', ...options, fixtureImage, 'sh', '-c', script])
}

/** How much of it arrives in a container of the engine itself, whose link has an MTU that the engine's network has or has not. */
async function receivedBeside(mtu: number): Promise<number> {
  const script = `ip link set dev eth0 mtu ${mtu} && ${get.join(' ')} -T ${STALLED_S} | wc -c`
  const args = ['run', '--rm', '--cap-add', 'NET_ADMIN', fixtureImage, 'sh', '-c', script]
  return Number((await run('docker', ['--host', engine.dockerHost, ...args])).stdout)
}

test.runIf(canIsolate)('of what is sent to who has another MTU, not all arrives', async () => {
  await loadTar(new Docker({ socketPath: engine.dockerHost.replace('unix://', '') }), fixtureImage, fixtureTar)
  expect(await receivedBeside(MTU)).toBe(SENT.length)
  expect(await receivedBeside(1500)).toBeLessThan(SENT.length)
})

test.runIf(canIsolate)('guest, containers and forks have its MTU, and what is sent to them arrives', async () => {
  await loadImagesInto(engine, await vmImageNames())
  vi.stubEnv('DOCKER_HOST', engine.dockerHost)
  // The addresses of its containers lead elsewhere on this machine.
  vi.stubEnv('TESTKERNELS_PORTS', 'forwarded')
  const entry = new KernelVm({ name: 'short', kernel: 'debian:bookworm', memoryMib: 1024, images: [fixtureTar] })
  await using vm = await entry.start()
  await using fork = await vm.fork()
  for (const one of [vm, fork]) {
    expect((await one.exec(['ip', 'link', 'show', 'eth0'])).stdout).toContain(`mtu ${MTU} `)
    expect(await received(one)).toBe(`${SENT.length}\n`)
    expect(await inContainer(one)).toBe(`${MTU}\n${SENT.length}`)
  }
  // Networks that users make have dockerd's 1500.
  await docker(vm, ['network', 'create', 'own'])
  expect(await inContainer(vm, '--network', 'own')).toBe(`1500\n${SENT.length}`)
  // An entry says another.
  await using told = await entry.withDaemon({ mtu: 1300 }).start()
  expect(await inContainer(told)).toBe(`1300\n${SENT.length}`)
})
