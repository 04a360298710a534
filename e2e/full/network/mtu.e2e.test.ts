// An engine whose network takes packets of 1400 bytes, as those of VPNs and clouds do, and a way to a server on which who sends longer ones is
// not told so: a connection with them stalls. It has no link but the test's.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterEach, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import {
  canIsolate,
  type IsolatedEngine,
  inNetworkOf,
  loadImagesInto,
  startIsolatedEngine,
} from '../../support/isolated-engine.ts'
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

/** An engine with the images of the VM, and a link to this machine. */
async function startShortEngine(): Promise<IsolatedEngine> {
  const engine = await startIsolatedEngine({ storageDriver: 'overlay2', flags: ['--mtu', String(MTU)] })
  await loadImagesInto(engine, await vmImageNames())
  await connectNetwork(engine)
  return engine
}

async function connectNetwork(engine: IsolatedEngine): Promise<void> {
  const there = inNetworkOf(engine)
  for (const [program = '', ...args] of [
    // It goes with the engine's end of it.
    ['ip', 'link', 'add', LINK, 'type', 'veth', 'peer', 'name', LINK, 'netns', String(engine.pid)],
    ['ip', 'address', 'add', `${HERE}/30`, 'dev', LINK],
    ['ip', 'link', 'set', LINK, 'up'],
    [...there, 'ip', 'address', 'add', `${THERE}/30`, 'dev', LINK],
    [...there, 'ip', 'link', 'set', LINK, 'up'],
    [...there, 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-o', LINK, '-j', 'MASQUERADE'],
    [...there, 'iptables', '-A', 'OUTPUT', '-o', LINK, '-p', 'icmp', '-j', 'DROP'],
  ])
    await run(program, args)
}

async function startServer(): Promise<AsyncDisposable> {
  const server = createServer((_, response) => response.end(SENT)).listen(PORT, HERE)
  await once(server, 'listening')
  return server
}

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

test.runIf(canIsolate)('guest, containers and forks have its MTU, and what is sent to them arrives', async () => {
  await using engine = await startShortEngine()
  await using _server = await startServer()
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
