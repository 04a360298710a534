// systemd of the rootfs as PID 1: what it is there for, in VMs that are saved and forked as any other.
import { rm } from 'node:fs/promises'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { baseImage, fixtureImage } from '../../support/env.ts'
import { BOOT_TIMEOUT_MS, common, death, entry, inGuest } from './guests.ts'

describe.each([
  { name: 'bookworm-v1', rootfs: 'debian:bookworm', cgroup: 1, version: 252 },
  { name: 'bookworm-v2', rootfs: 'debian:bookworm', cgroup: 2, version: 252 },
  { name: 'trixie-v2', rootfs: 'debian:trixie', cgroup: 2, version: 257 },
  // The newest that there is: 262 at the time of writing.
  { name: 'sid-v2', rootfs: 'debian:sid', cgroup: 2, version: 262 },
] as const)('systemd $version of $rootfs on cgroup v$cgroup', ({ name, version, ...options }) => {
  let vm: StartedKernelVm

  beforeAll(async () => {
    vm = await entry(name, options).start()
  }, 2 * BOOT_TIMEOUT_MS)
  afterAll(() => vm?.stop())

  test('is PID 1, started all that it was to start, and nothing failed', async () => {
    expect(vm.steps.map((step) => step.name)).toContain('restore')
    expect(await inGuest(vm, 'cat /proc/1/comm')).toBe('systemd')
    const [, found] = /^systemd (\d+) /.exec(await inGuest(vm, 'systemctl --version')) ?? []
    // A released suite keeps its own.
    if (options.rootfs === 'debian:sid') expect(Number(found)).toBeGreaterThanOrEqual(version)
    else expect(Number(found)).toBe(version)
    expect(await inGuest(vm, 'systemctl --failed --no-legend')).toBe('')
    expect(await inGuest(vm, 'systemctl is-system-running')).toBe('running')
  })

  test("dockerd is the distribution's unit, with systemd's cgroups", async () => {
    expect(await docker(vm, ['info', '--format', '{{.CgroupDriver}} {{.CgroupVersion}}'])).toBe(
      `systemd ${options.cgroup}`,
    )
    expect(await inGuest(vm, 'systemctl show --property FragmentPath --value docker.service')).toBe(
      version > 252 ? '/usr/lib/systemd/system/docker.service' : '/lib/systemd/system/docker.service',
    )
    expect(await docker(vm, ['network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Subnet}}'])).toBe(
      '10.201.0.0/16',
    )
  })

  test('a container has a scope of its own, the limit that it was given, and the profile of AppArmor', async () => {
    const id = await docker(vm, ['run', '--detach', '--memory', '64m', fixtureImage, 'sleep', '1000'])
    const pid = await docker(vm, ['inspect', '--format', '{{.State.Pid}}', id])
    const memory =
      options.cgroup === 1
        ? `/sys/fs/cgroup/memory/system.slice/docker-${id}.scope/memory.limit_in_bytes`
        : `/sys/fs/cgroup/system.slice/docker-${id}.scope/memory.max`
    expect(await inGuest(vm, `cat ${memory}`)).toBe('67108864')
    expect(await inGuest(vm, `cat /proc/${pid}/cgroup`)).toContain(`/system.slice/docker-${id}.scope`)
    expect(await inGuest(vm, `systemctl is-active docker-${id}.scope`)).toBe('active')
    expect(await inGuest(vm, `cat /proc/${pid}/attr/current`)).toBe('docker-default (enforce)')
    expect(await inGuest(vm, 'aa-enabled')).toBe('Yes')
    expect(await docker(vm, ['info', '--format', '{{.SecurityOptions}}'])).toContain('name=apparmor')
    await docker(vm, ['rm', '--force', id])
  })

  test('device nodes, names and the way out are those of every guest', async () => {
    expect(await inGuest(vm, 'stat --format "%a %n" /dev/fuse /dev/net/tun')).toBe('666 /dev/fuse\n666 /dev/net/tun')
    expect(await inGuest(vm, 'cat /etc/resolv.conf')).toContain('nameserver 192.0.2.1')
    expect(await inGuest(vm, '/.testkernels/bin/ip -4 -o addr show eth0')).toContain('inet 192.0.2.2/30')
    expect(await inGuest(vm, 'cat /proc/sys/fs/inotify/max_user_instances')).toBe('1024')
  })

  test('a fork is itself, and so is what is asked of systemd', async () => {
    await using fork = await vm.fork()
    const script = 'hostname; cat /etc/machine-id; sha256sum </.testkernels/ssh/host_key; cat /etc/hostname'
    const [ours = [], forks = []] = await Promise.all(
      [vm, fork].map(async (one) => (await inGuest(one, script)).split('\n')),
    )
    expect(ours.filter((line) => forks.includes(line))).toEqual([])
    expect(forks[0]).toBe(fork.hostname)
    expect(forks[3]).toBe(fork.hostname)
    expect(await inGuest(fork, 'systemctl is-system-running')).toBe('running')
    // What was logged before it was saved, and what is now.
    await inGuest(fork, 'systemd-run --quiet --wait echo said-in-a-unit')
    const journal = await inGuest(fork, 'journalctl --no-pager --output cat')
    expect(journal).toContain('Started docker.service')
    expect(journal).toContain('said-in-a-unit')
    expect(await docker(fork, ['run', '--rm', fixtureImage, 'echo', 'hello'])).toBe('hello')
  })

  test.each([
    ['rebooted', 'systemctl reboot'],
    ['powered off', 'poweroff'],
    ['halted', 'kill -37 1'],
  ])('a guest that was %s by `%s` is told as that', async (how, command) => {
    const fork = await vm.fork()
    try {
      // Those who ask do not wait.
      await fork.exec(['sh', '-c', command]).catch(() => {})
      const reason = await death(fork)
      expect(reason).toMatchObject({ code: 'VM_DIED', output: expect.stringContaining(`the guest was ${how}`) })
    } finally {
      await fork.stop()
      await rm(fork.consolePath, { force: true })
    }
  })
})

test('a rootfs without systemd is refused by name, before anything boots', async () => {
  const rootfs = `docker-image://${baseImage}`
  await expect(new KernelVm({ ...common, name: 'without', rootfs }).start()).rejects.toMatchObject({
    code: 'ROOTFS_UNSUITABLE',
    message: expect.stringContaining(
      "without: the rootfs has no systemd (/lib/systemd/systemd), which init: 'systemd'",
    ),
  })
})

test('a systemd that has no cgroup v1 any more is refused by its version before anything boots', async () => {
  const starting = entry('sid-v1', { rootfs: 'debian:sid', cgroup: 1 }).start()
  await expect(starting).rejects.toMatchObject({
    code: 'ROOTFS_UNSUITABLE',
    message: expect.stringMatching(/sid-v1: systemd 2[56]\d of the rootfs has no cgroup v1, which ended with 257/),
    remedy: expect.stringContaining('cgroup: 2'),
  })
})
