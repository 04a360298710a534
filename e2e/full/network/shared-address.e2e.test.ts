// Ports of containers where VMs have one address together, as on systems other than Linux: one that is taken is another one, and what clients
// read of it agrees.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { ask, dial, runService } from '../../support/service.ts'

const ADDRESS = '127.0.0.1'
let vms: readonly StartedKernelVm[] = []

beforeAll(async () => {
  vi.stubEnv('TESTKERNELS_PORTS', 'localhost')
  const first = await new KernelVm({ name: 'shared', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  vms = [first]
  vms = [first, await first.fork()]
  return async () => {
    for (const vm of vms) await vm.stop()
  }
})
afterAll(() => {
  vi.unstubAllEnvs()
})

/** Where docker says that a port of a container is. */
async function portOf(vm: StartedKernelVm, name: string, port: string): Promise<number> {
  return Number((await docker(vm, ['port', name, port])).split(/[:\n]/)[1])
}

test('two VMs publish one port, over TCP and UDP, and docker tells where each is', async () => {
  const probe = createServer().listen(0, ADDRESS)
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  const publish = ['--publish', `${port}:80`, '--publish', `${port}:80/udp`]
  const ports = []
  for (const [at, vm] of vms.entries()) {
    expect(vm.address).toBe(ADDRESS)
    await runService(vm, `service-${at}`, ...publish)
    const [tcp, udp] = [await portOf(vm, `service-${at}`, '80/tcp'), await portOf(vm, `service-${at}`, '80/udp')]
    expect(await dial(ADDRESS, tcp)).toBe(`service-${at}`)
    expect(await ask(ADDRESS, udp, 'hello')).toBe(`service-${at} hello`)
    expect(await docker(vm, ['ps', '--format', '{{.Ports}}'])).toContain(`:${tcp}->80/tcp`)
    ports.push([tcp, udp])
  }
  expect(ports[0]).toEqual([port, port])
  expect(ports[1]).not.toContain(port)
  for (const [at, vm] of vms.entries()) await docker(vm, ['rm', '--force', `service-${at}`])
})

test("a port that another program has is another one, and Testcontainers' getMappedPort agrees", async () => {
  const [vm] = vms as [StartedKernelVm]
  // The one that dockerd chooses next follows the last.
  await runService(vm, 'last', '--publish', '80')
  const next = (await portOf(vm, 'last', '80/tcp')) + 1
  const taken = createServer().listen(next, ADDRESS)
  await once(taken, 'listening')
  onTestFinished(() => void taken.close())
  for (const [name, value] of Object.entries(vm.environment)) vi.stubEnv(name, value)
  const { GenericContainer } = await import('testcontainers')
  await using container = await new GenericContainer(fixtureImage)
    .withCommand(['sh', '-c', 'while :; do echo there | nc -l -p 80; done'])
    .withExposedPorts(80)
    .start()
  const mapped = container.getMappedPort(80)
  expect(container.getHost()).toBe(ADDRESS)
  expect(mapped).not.toBe(next)
  expect(await dial(container.getHost(), mapped)).toBe('there')
  await docker(vm, ['rm', '--force', 'last'])
})
