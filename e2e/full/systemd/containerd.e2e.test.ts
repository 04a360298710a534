// containerd as the unit that a guest is for, in a rootfs without docker.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client, credentials } from '@grpc/grpc-js'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { baseImage, fixtureImage, fixtureTar } from '../../support/env.ts'
import { BOOT_TIMEOUT_MS, death, inGuest } from './guests.ts'

const dockerfile = join(import.meta.dirname, '../../../fixtures/rootfs-containerd/Dockerfile')
const entry = {
  name: 'containerd',
  kernel: 'debian:bookworm',
  init: 'systemd',
  rootfs: { dockerfile, buildArgs: { BASE: baseImage } },
  forwards: [{ guest: '/run/containerd/containerd.sock' }],
  bootTimeoutMs: BOOT_TIMEOUT_MS,
} as const
let vm: StartedKernelVm

beforeAll(async () => {
  vm = await new KernelVm(entry).start()
}, 2 * BOOT_TIMEOUT_MS)
afterAll(() => vm?.stop())

/** What its containerd says of its version, asked from this machine. */
async function version({ forwards }: StartedKernelVm): Promise<string> {
  const client = new Client(`unix:${forwards['containerd']?.address}`, credentials.createInsecure())
  const bytes = (value: Buffer) => value
  try {
    return await new Promise((resolve, reject) => {
      const done = (error: Error | null, answer?: Buffer) => (error ? reject(error) : resolve(String(answer)))
      client.makeUnaryRequest('/containerd.services.version.v1.Version/Version', bytes, bytes, Buffer.alloc(0), done)
    })
  } finally {
    client.close()
  }
}

/** With systemd's cgroups. */
async function inContainer(guest: StartedKernelVm, ...command: readonly string[]): Promise<string> {
  await guest.copyTo(fixtureTar, '/srv/image.tar')
  await inGuest(guest, 'ctr images import /srv/image.tar')
  const image = await inGuest(guest, 'ctr images list --quiet')
  expect(image).toContain(fixtureImage)
  const cgroup = '--runc-systemd-cgroup --cgroup system.slice:ctr:one'
  return await inGuest(guest, `ctr run --rm ${cgroup} ${image} one ${command.join(' ')}`)
}

test('the guest is ready when its containerd is, which is asked in the guest and from this machine', async () => {
  expect(vm.steps.map(({ name }) => name)).toContain('restore')
  expect(await inGuest(vm, 'systemctl is-active containerd.service')).toBe('active')
  expect(await inGuest(vm, 'systemctl --failed --no-legend; systemctl is-system-running')).toBe('running')
  const [, inside = 'none'] = /Server:\s+Version: +(\S+)/.exec(await inGuest(vm, 'ctr version')) ?? []
  expect(await version(vm)).toContain(inside)
})

test('it runs a container of an imported image, in a guest and in its fork', async () => {
  expect(await inContainer(vm, 'uname', '-r')).toBe(vm.kernelRelease)
  await using fork = await vm.fork()
  expect(await version(fork)).toBe(await version(vm))
  expect(await inGuest(fork, 'ctr images list --quiet')).toBe('')
  expect(await inContainer(fork, 'cat', '/proc/self/cgroup')).toContain('ctr-one.scope')
})

test('Docker clients are told that it has no dockerd', async () => {
  await expect(docker(vm, ['info'])).rejects.toMatchObject({
    stderr: expect.stringContaining('containerd: the guest has no dockerd: its rootfs has containerd.service'),
  })
})

test('one that fails for good ends the guest, which says why', async () => {
  const fork = await vm.fork()
  try {
    await fork
      .exec("echo 'version = [' >/etc/containerd/config.toml; systemctl restart containerd", { timeoutMs: 120_000 })
      .catch(() => {})
    expect(await death(fork)).toMatchObject({
      code: 'DOCKERD_FAILED',
      message: expect.stringContaining("containerd: the guest's containerd ended with status 1 on debian:bookworm"),
      output: expect.stringContaining('config.toml'),
    })
  } finally {
    await fork.stop()
    await rm(fork.consolePath, { force: true })
  }
})

test.each([
  ['images', { images: [fixtureTar] }],
  ['daemon', { daemon: { debug: true } }],
])('%s are refused, which dockerd would have', async (option, options) => {
  await expect(new KernelVm({ ...entry, ...options }).start()).rejects.toMatchObject({
    code: 'ROOTFS_UNSUITABLE',
    message: expect.stringContaining(`no docker.service, whose dockerd the option '${option}' is for`),
  })
})
