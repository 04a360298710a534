// The oldest kernels that are claimed, from before 5.10, which no archive of Debian's has: TESTKERNELS_E2E_OLD_KERNEL is the reference of one,
// such as docker-image:// with RHEL 8's, or source: with the tree of its kernel-4.18.0-*.src.rpm or of kernel.org's 4.19.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { describe, expect, test } from 'vitest'
import { docker } from '../support/docker.ts'
import { fixtureImage, fixtureTar } from '../support/env.ts'
import { runWebServer } from '../support/service.ts'

const { TESTKERNELS_E2E_OLD_KERNEL: reference = '' } = process.env
/** What RHEL 8's kernel has and has not: no VIRTIO_MMIO, no EROFS, and its drivers as modules. */
const config = join(import.meta.dirname, '../../fixtures/kernels/rhel8.config')
const [, source] = /^source:(.*)/.exec(reference) ?? []
const kernel = source === undefined ? reference : { source, config: [config], compiler: 'debian/bullseye' }
/** Between a guest and this machine. */
const CLOCK_TOLERANCE_MS = 5_000

describe.skipIf(reference === '').each([1, 2] as const)(
  'a kernel of before 5.10 (skipped unless TESTKERNELS_E2E_OLD_KERNEL names one) on cgroup v%i',
  (cgroup) => {
    const entry = { kernel, cgroup, images: [fixtureTar] }

    test('boots cold to a dockerd that limits, publishes and pauses, and loads modules late', async () => {
      await using vm = await new KernelVm({ ...entry, name: `old-v${cgroup}`, template: false }).start()
      expect(vm.kernelRelease).toMatch(/^(4\.(18|19)|5\.\d)\./)
      await expectContainers(vm, cgroup)

      await runWebServer(vm, 'published', '--publish', '8081:80')
      expect((await fetch(`http://${vm.address}:8081/bin/busybox`)).status).toBe(200)
      if (cgroup === 1) {
        const cpuset = ['--cpuset-cpus', '1', fixtureImage, 'cat', '/sys/fs/cgroup/cpuset/cpuset.cpus']
        expect(await docker(vm, ['run', '--rm', ...cpuset])).toBe('1')
        await docker(vm, ['pause', 'published'])
        expect(await docker(vm, ['inspect', '--format', '{{.State.Status}}', 'published'])).toBe('paused')
      }

      expect((await sh(vm, 'ls -d /sys/devices/pci0000:00/*/virtio*')).split('\n').length).toBeGreaterThan(3)
      const mounts = await sh(vm, 'awk \'$2 ~ "^(/boot|/var/lib/docker)$" { print $2, $3 }\' /proc/1/mounts | sort')
      expect(mounts).toBe('/boot squashfs\n/var/lib/docker ext4')
      expect(await sh(vm, 'modprobe sch_netem && grep -o "^sch_netem " /proc/modules')).toBe('sch_netem')
      expect(await readFile(vm.consolePath, 'utf8')).toContain(`Linux version ${vm.kernelRelease}`)
      expect(vm.kernelReports).toEqual([])
    })

    test('is saved and restored, forked, and forked from a checkpoint with a container that goes on', async () => {
      await using vm = await new KernelVm({ ...entry, name: `old-saved-v${cgroup}` }).start()
      expect(vm.steps.map(({ name }) => name)).toContain('restore')
      await expectContainers(vm, cgroup)

      await using fork = await vm.fork()
      await docker(fork, ['run', '--detach', '--name', 'sleeper', fixtureImage, 'sleep', '1000000'])
      await sh(fork, 'echo mine >/etc/mine')
      expect(await sh(vm, 'ls /etc/mine 2>/dev/null || echo none')).toBe('none')
      const random = 'head -c 16 /dev/urandom | od -An -tx1'
      expect(await sh(fork, random)).not.toBe(await sh(vm, random))

      await using checkpoint = await fork.checkpoint()
      await using later = await checkpoint.fork()
      expect(await docker(later, ['exec', 'sleeper', 'echo', 'goes on'])).toBe('goes on')
      for (const one of [vm, fork, later]) {
        const before = Date.now()
        const guestMs = Number(await sh(one, 'date +%s.%N')) * 1000
        expect(guestMs).toBeGreaterThan(before - CLOCK_TOLERANCE_MS)
        expect(guestMs).toBeLessThan(Date.now() + CLOCK_TOLERANCE_MS)
        expect(one.kernelReports).toEqual([])
      }
    })
  },
)

async function expectContainers(vm: StartedKernelVm, cgroup: 1 | 2): Promise<void> {
  const { KernelVersion, CgroupVersion, MemoryLimit, SwapLimit } = await new Docker({
    socketPath: vm.dockerHost.slice('unix://'.length),
  }).info()
  expect({ KernelVersion, CgroupVersion, MemoryLimit, SwapLimit }).toEqual({
    KernelVersion: vm.kernelRelease,
    CgroupVersion: String(cgroup),
    MemoryLimit: true,
    SwapLimit: true,
  })
  const file = cgroup === 1 ? 'memory/memory.limit_in_bytes' : 'memory.max'
  const limited = ['--memory', '64m', fixtureImage, 'cat', `/sys/fs/cgroup/${file}`]
  expect(await docker(vm, ['run', '--rm', ...limited])).toBe('67108864')
}

async function sh(vm: StartedKernelVm, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.exec(['sh', '-c', script])
  expect(exitCode, stderr).toBe(0)
  return stdout.trim()
}
