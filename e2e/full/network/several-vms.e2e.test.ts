// VMs that meet on a network: two kernels and a fork, each with an address there, known by name to the others and to their containers.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { startRemoteEngine } from '../../support/remote-engine.ts'
import { runWebServer } from '../../support/service.ts'

const run = promisify(execFile)
const engine = new Docker()
const network = `e2e-${randomBytes(4).toString('hex')}`
/** For what a swarm does by itself, which takes its time under emulation. */
const deadline = { timeout: 240_000 }

const options = { network, memoryMib: 1024, images: [fixtureTar] }
const one = new KernelVm({ ...options, name: 'one', kernel: 'debian:bookworm' })
const two = new KernelVm({ ...options, name: 'two', kernel: 'debian:trixie' })

let vms: readonly StartedKernelVm[] = []
let first: StartedKernelVm
let second: StartedKernelVm
let fork: StartedKernelVm

beforeAll(async () => {
  first = await one.start()
  vms = [first]
  second = await two.start()
  vms = [first, second]
  fork = await first.fork()
  vms = [first, second, fork]
})
afterAll(async () => {
  for (const vm of vms) await vm.stop()
})

/** What a program of the agent's busybox says in a guest. */
async function busybox(vm: StartedKernelVm, ...[program = '', ...args]: string[]): Promise<string> {
  const { stdout, stderr } = await vm.exec([`/.testkernels/bin/${program}`, ...args])
  return stdout || stderr
}

/** Longer than any answer takes, of a guest that has little of a busy machine. */
const ANSWER_DEADLINE_S = 120
/** Of what nobody answers: a neighbour has answered by then. */
const SILENCE_S = 20
/** Of a web server of support/service.ts, the hostname of its container. */
const get = (host: string, deadlineS = ANSWER_DEADLINE_S) => [
  'wget',
  '-q',
  '-T',
  String(deadlineS),
  '-O',
  '-',
  `http://${host}/etc/hostname`,
]
const server = ['httpd', '-f', '-h', '/', '-p', '80']
const ping = (host: string, deadlineS = ANSWER_DEADLINE_S) => ['ping', '-c', '1', '-W', String(deadlineS), host]

async function ofOurs() {
  const filters = { name: [`testkernels-${network}`] }
  return {
    networks: (await engine.listNetworks({ filters })).map(({ Name }) => Name),
    containers: (await engine.listContainers({ all: true, filters })).map(({ Names }) => Names),
  }
}

test('each has an address of its own, and knows the others and itself by name', async () => {
  const addresses = vms.map(({ networkAddress }) => networkAddress)
  expect(new Set(addresses).size).toBe(3)
  for (const vm of vms) {
    expect((await vm.exec(['ip', '-4', '-o', 'address', 'show', 'eth1'])).stdout).toContain(` ${vm.networkAddress}/`)
    for (const { hostname, networkAddress } of vms)
      expect(await busybox(vm, ...ping(hostname))).toContain(`from ${networkAddress}: seq=0`)
  }
  expect(new Set(vms.map(({ kernelRelease }) => kernelRelease)).size).toBe(2)
})

test("what one's container publishes is reached from another's by the name of its VM", async () => {
  for (const vm of vms) await runWebServer(vm, 'web', '--publish', '8080:80', '--hostname', `web-of-${vm.hostname}`)
  for (const from of vms) {
    for (const { hostname } of vms.filter((vm) => vm !== from))
      expect(await docker(from, ['run', '--rm', fixtureImage, ...get(`${hostname}:8080`)])).toBe(`web-of-${hostname}`)
  }
})

test('a swarm of the two kernels has an encrypted network, over which a service of one is reached from the other', async () => {
  await docker(first, ['swarm', 'init', '--advertise-addr', first.networkAddress ?? ''])
  const token = await docker(first, ['swarm', 'join-token', '--quiet', 'worker'])
  await docker(second, ['swarm', 'join', '--token', token, 'one:2377'])
  await docker(first, ['network', 'create', '--driver', 'overlay', '--opt', 'encrypted', '--attachable', 'secret'])
  const there = ['--constraint', 'node.hostname==two']
  const service = ['--detach', '--name', 'served', '--hostname', 'over-there', '--network', 'secret', ...there]
  await docker(first, ['service', 'create', ...service, fixtureImage, ...server])
  const ask = ['run', '--rm', '--network', 'secret', fixtureImage, ...get('served')]
  await expect.poll(() => docker(first, ask).catch(String), deadline).toBe('over-there')
  // Of what is encrypted here, a module of the kernel has the keys, and is in use.
  expect(await busybox(first, 'cat', '/proc/modules')).toMatch(/^esp4 \d+ [1-9]/m)
})

test('this machine reaches a service of the swarm through each of its two kernels, wherever its task runs', async () => {
  const there = ['--constraint', 'node.hostname==two']
  const service = ['--detach', '--name', 'public', '--publish', '8088:80', '--hostname', 'for-all', ...there]
  await docker(first, ['service', 'create', ...service, fixtureImage, ...server])
  const asked = async (address: string) => {
    const answer = await fetch(`http://${address}:8088/etc/hostname`)
    return (await answer.text()).trim()
  }
  for (const { address } of [first, second])
    await expect.poll(() => asked(address).catch(String), deadline).toBe('for-all')
  for (const vm of [second, first]) await docker(vm, ['swarm', 'leave', '--force'])
})

test('a container of one has an address on the network itself, by macvlan', async () => {
  const [subnet = ''] = (await busybox(first, 'ip', 'route', 'show', 'dev', 'eth1')).split(' ')
  // The engine gives addresses from the lowest on.
  const address = (first.networkAddress ?? '').replace(/\.\d+$/, '.250')
  await docker(first, ['network', 'create', '--driver', 'macvlan', '--subnet', subnet, '--opt', 'parent=eth1', 'wire'])
  await runWebServer(first, 'wired', '--network', 'wire', '--ip', address, '--hostname', 'wired')
  expect(await busybox(second, ...get(address))).toBe('wired\n')
})

test("a clone of a checkpoint has an address of its own, and not its original's, which goes on with that", async () => {
  await using checkpoint = await first.checkpoint()
  await using clone = await checkpoint.fork()
  const addressesOf = async (vm: StartedKernelVm) => {
    const { stdout } = await vm.exec(['ip', '-4', '-o', 'address', 'show', 'eth1'])
    return [...stdout.matchAll(/inet (\S+)\//g)].map(([, address]) => address)
  }
  for (const vm of [clone, first]) {
    expect(await addressesOf(vm)).toEqual([vm.networkAddress])
    expect(await busybox(second, ...get(`${vm.hostname}:8080`))).toBe('web-of-one\n')
  }
  expect(clone.networkAddress).not.toBe(first.networkAddress)
})

test('a clone of a checkpoint tells the others its address, which one of them knows by another MAC', async () => {
  await using checkpoint = await first.checkpoint()
  // The engine gives the lowest address that nobody has.
  const address = await checkpoint.fork().then(async (clone) => {
    await clone.stop()
    return clone.networkAddress
  })
  const entry = async () => {
    const table = await busybox(second, 'cat', '/proc/net/arp')
    return table.split('\n').find((line) => line.startsWith(`${address} `)) ?? ''
  }
  const former = '02:00:5e:00:53:01'
  await busybox(second, 'arp', '-i', 'eth1', '-s', `${address}`, former, 'temp')
  expect(await entry()).toContain(former)
  await using clone = await checkpoint.fork()
  expect(clone.networkAddress).toBe(address)
  const mac = await busybox(clone, 'cat', '/sys/class/net/eth1/address')
  // Nobody asks for it, and an entry that is wrong stays.
  await expect.poll(entry, { timeout: ANSWER_DEADLINE_S * 1000 }).toContain(mac.trim())
})

test('a VM of another client of the engine, which is far away to that, is on the same network', async () => {
  await using remote = await startRemoteEngine()
  for (const [name, value] of Object.entries(remote.environment)) vi.stubEnv(name, value)
  const starting = new KernelVm({ ...options, name: 'far', kernel: 'debian:bookworm' }).start()
  await using far = await starting.finally(() => vi.unstubAllEnvs())
  expect(await busybox(second, ...ping('far'))).toContain(`from ${far.networkAddress}: seq=0`)
  expect(await busybox(far, ...get('one:8080'))).toBe('web-of-one\n')
})

test('one that may reach nothing reaches the others at their addresses, and nothing by them', async () => {
  await using held = await new KernelVm({ ...options, name: 'held', kernel: 'debian:bookworm', egress: 'none' }).start()
  const published = `${first.networkAddress}:8080`
  expect(await busybox(held, ...get(published))).toBe('web-of-one\n')
  expect(await busybox(held, ...ping('two'))).toContain('bad address')
  // What is at the address of a VM's container goes to that, through the container of another that would pass it on.
  expect(await busybox(second, ...get(`${first.address}:8080`))).toBe('web-of-one\n')
  const inBox = async (...args: string[]) =>
    (await run('docker', ['exec', `testkernels-${network}.two`, ...args])).stdout.trim()
  const passerOn = (first.networkAddress ?? '').replace(/\.\d+$/, '.99')
  const mac = await inBox('cat', '/sys/class/net/vms/address')
  await busybox(held, 'arp', '-i', 'eth1', '-s', passerOn, mac)
  await busybox(held, 'ip', 'route', 'add', first.address, 'via', passerOn, 'dev', 'eth1')
  expect(await busybox(held, 'ip', 'route', 'get', first.address)).toContain(`via ${passerOn} dev eth1`)
  expect(await busybox(held, 'cat', '/proc/net/arp')).toContain(mac)
  expect(await busybox(held, ...get(`${first.address}:8080`, SILENCE_S))).toContain('timed out')
})

test("the engine's machine is no neighbour, which as a bridge it has an address for that only IPv6 knows", async () => {
  const [made] = await engine.listNetworks({ filters: { name: [`testkernels-${network}`] } })
  const bridge = made?.Options?.['com.docker.network.bridge.name'] ?? 'none'
  const machine = linkLocal(await readFile('/proc/net/if_inet6', 'utf8'), bridge)
  // Of a guest that has no IPv6 itself, silence says nothing.
  linkLocal(await busybox(first, 'cat', '/proc/net/if_inet6'), 'eth1')
  expect(await busybox(first, ...ping(`${machine}%eth1`, SILENCE_S))).toContain('100% packet loss')
})

test("nor are the engine's machine's other addresses on it, nor what goes to all", async () => {
  const { Gateway: machine = '' } = (await engine.getNetwork('bridge').inspect()).IPAM?.Config?.[0] ?? {}
  const socket = createSocket('udp4').bind(0)
  try {
    await once(socket, 'listening')
    const heard: string[] = []
    socket.on('message', (datagram) => heard.push(String(datagram).trim()))
    const say = (what: string, to: string) => `bash -c 'echo ${what} >/dev/udp/${to}/${socket.address().port}'`
    for (const to of [machine, '224.0.0.1']) {
      const route = (verb: string) => `/.testkernels/bin/ip route ${verb} ${to}/32 dev eth1`
      const { exitCode, stderr } = await first.exec(`${route('add')} && ${say('no', to)} && ${route('del')}`)
      expect(exitCode, stderr).toBe(0)
    }
    // By the way that it has, the machine is reached; what was sent before has come by then.
    await first.exec(say('last', machine))
    await expect.poll(() => heard, { timeout: 60_000 }).toContain('last')
    expect(heard).toEqual(['last'])
  } finally {
    socket.close()
  }
})

/** The address that a device has by itself, of /proc/net/if_inet6. */
function linkLocal(addresses: string, device: string): string {
  const [, digits = ''] = new RegExp(`^(fe80[0-9a-f]{28}) .* ${device}$`, 'm').exec(addresses) ?? []
  expect(digits, `${device} has no link-local address`).not.toBe('')
  return digits.replace(/.{4}(?!$)/g, '$&:')
}

test('a name that another VM of the network has is refused', async () => {
  await expect(one.start()).rejects.toMatchObject({
    code: 'NETWORK_NAME_TAKEN',
    message: expect.stringContaining(`another VM is 'one' on the network testkernels-${network}`),
  })
})

test('the network goes with the last of them', async () => {
  for (const vm of [second, fork]) await vm.stop()
  expect(await ofOurs()).toEqual({
    networks: [`testkernels-${network}`],
    containers: [[`/testkernels-${network}.one`]],
  })
  await first.stop()
  expect(await ofOurs()).toEqual({ networks: [], containers: [] })
})
