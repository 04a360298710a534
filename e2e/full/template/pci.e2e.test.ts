// A machine with its devices on PCI, for kernels that find them nowhere else: what a VM can do, it does there as well.
import { randomBytes } from 'node:crypto'
import Docker from 'dockerode'
import { KernelVm, type Logger, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { Program } from '../../support/program.ts'
import { testkernels } from '../../support/run.ts'

const lines: string[] = []
const log: Logger = { info: (line) => void lines.push(line), warn: () => {}, debug: () => {}, named: () => log }
let vm: StartedKernelVm

beforeAll(async () => {
  const options = { name: 'on-pci', kernel: 'debian:bookworm', machine: 'pci', images: [fixtureTar] } as const
  vm = await new KernelVm(options).start({ log })
})
afterAll(() => vm?.stop())

/** How the guest reaches each of its virtio devices. */
async function transports(guest: StartedKernelVm): Promise<Set<string>> {
  const { stdout } = await guest.exec(['sh', '-c', 'readlink -f /sys/bus/virtio/devices/*'])
  return new Set(
    stdout
      .trim()
      .split('\n')
      .map((path) => (path.includes('/pci0000:00/') ? 'pci' : path)),
  )
}

test('says in the line that tells of the start where the devices are', () => {
  expect(lines.filter((line) => line.startsWith('starting'))).toEqual([
    expect.stringMatching(/^starting debian:bookworm, cgroup v2, devices on PCI, as asked for, with /),
  ])
})

test('it starts from a template, finds all devices on PCI, and runs a container', async () => {
  expect(vm.steps.map(({ name }) => name)).toContain('restore')
  expect(await transports(vm)).toEqual(new Set(['pci']))
  expect(await docker(vm, ['run', '--rm', fixtureImage, 'uname', '-r'])).toMatch(/^6\.1\./)
})

test('a fork is restored as well, and a checkpoint has what was written before it', async () => {
  await using fork = await vm.fork()
  expect(await transports(fork)).toEqual(new Set(['pci']))
  await fork.exec(['sh', '-c', 'echo written >/root/file'])
  await using checkpoint = await fork.checkpoint()
  await using later = await checkpoint.fork()
  expect((await later.exec(['cat', '/root/file'])).stdout).toBe('written\n')
  await expect(docker(later, ['run', '--rm', fixtureImage, 'echo', 'hello'])).resolves.toBe('hello')
})

test('its image boots by itself on the same machine', async () => {
  await using build = await testkernels(['build', '--kernel', 'debian:bookworm', '--machine', 'pci'])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
  const name = `testkernels-e2e-${randomBytes(4).toString('hex')}`
  await using program = new Program(['docker', 'run', '--rm', '--name', name, build.program.stdout.trim()])
  try {
    await program.printed('stdout', /^testkernels: dockerd answers after \d+ s\r?$/m)
    expect(program.stdout).toMatch(/virtio-pci 0000:00:\S+ enabling device/)
  } finally {
    await new Docker().getContainer(name).stop()
  }
})
