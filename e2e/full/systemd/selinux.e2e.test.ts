// SELinux as the rootfs has it: its policy is loaded by systemd, and its files have the labels of that policy.
import { join } from 'node:path'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { baseImage, fixtureImage } from '../../support/env.ts'
import { BOOT_TIMEOUT_MS, common, inGuest } from './guests.ts'

const dockerfile = join(import.meta.dirname, '../../../fixtures/rootfs-selinux/Dockerfile')
let vm: StartedKernelVm

beforeAll(async () => {
  const rootfs = { dockerfile, buildArgs: { BASE: baseImage } }
  const kernelArguments = ['security=selinux', 'selinux=1']
  const options = { ...common, name: 'selinux', rootfs, kernelArguments, bootTimeoutMs: 2 * BOOT_TIMEOUT_MS }
  vm = await new KernelVm(options).start()
}, 4 * BOOT_TIMEOUT_MS)
afterAll(() => vm?.stop())

test('its policy is loaded, as its configuration says, and PID 1 is in its domain', async () => {
  expect(vm.steps.map(({ name }) => name)).toContain('restore')
  expect(await inGuest(vm, 'getenforce')).toBe('Permissive')
  expect(await inGuest(vm, 'cat /proc/1/attr/current')).toContain(':init_t:')
})

test.each(['/usr/sbin/dockerd', '/usr/lib/systemd/systemd', '/etc/passwd', '/usr/bin/runc'])(
  '%s has the label that the policy has for it',
  async (path) => {
    const policy = await inGuest(vm, `matchpathcon -n ${path}`)
    expect(policy).toMatch(/^system_u:object_r:\w+_t:s0$/)
    expect(await inGuest(vm, `stat --format %C ${path}`)).toBe(policy)
  },
)

test('dockerd confines its containers by it, in forks as well', async () => {
  await using fork = await vm.fork()
  for (const guest of [vm, fork]) {
    expect(await docker(guest, ['info', '--format', '{{.SecurityOptions}}'])).toContain('name=selinux')
    const label = await docker(guest, ['run', '--rm', fixtureImage, 'cat', '/proc/self/attr/current'])
    expect(label).toMatch(/:container_t:s0:c\d+,c\d+/)
  }
  expect(await inGuest(fork, 'getenforce')).toBe('Permissive')
})
