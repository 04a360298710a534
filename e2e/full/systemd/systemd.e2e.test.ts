// systemd of the rootfs as PID 1: what it is there for, in VMs that are saved and forked as any other.
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { baseImage, fixtureImage, fixtureTar } from '../../support/env.ts'

/** A boot with systemd takes an emulated guest longer than one without, and a busy machine several times that. */
const BOOT_TIMEOUT_MS = 540_000
const DEATH_DEADLINE_MS = 120_000
const poll = { timeout: 120_000, interval: 1_000 }
const common = { kernel: 'debian:bookworm', init: 'systemd', images: [fixtureTar] } as const

function entry(name: string, options: { readonly rootfs: string; readonly cgroup: 1 | 2 }): KernelVm {
  return new KernelVm({ ...common, name, ...options, bootTimeoutMs: BOOT_TIMEOUT_MS })
}

async function inGuest(vm: StartedKernelVm, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await vm.exec(['sh', '-euc', script])
  expect({ script, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ script, exitCode: 0, stderr: '' })
  return stdout.trim()
}

async function death(vm: StartedKernelVm): Promise<Error> {
  if (!vm.gone.aborted) await once(vm.gone, 'abort', { signal: AbortSignal.timeout(DEATH_DEADLINE_MS) })
  return vm.gone.reason
}

describe.each([
  { name: 'bookworm-v1', rootfs: 'debian:bookworm', cgroup: 1, version: 252 },
  { name: 'bookworm-v2', rootfs: 'debian:bookworm', cgroup: 2, version: 252 },
  { name: 'trixie-v2', rootfs: 'debian:trixie', cgroup: 2, version: 257 },
] as const)('systemd $version on cgroup v$cgroup', ({ name, version, ...options }) => {
  let vm: StartedKernelVm

  beforeAll(async () => {
    vm = await entry(name, options).start()
  }, 2 * BOOT_TIMEOUT_MS)
  afterAll(() => vm?.stop())

  test('is PID 1, started all that it was to start, and nothing failed', async () => {
    expect(vm.steps.map((step) => step.name)).toContain('restore')
    expect(await inGuest(vm, 'cat /proc/1/comm')).toBe('systemd')
    expect(await inGuest(vm, 'systemctl --version | head -n 1')).toContain(`systemd ${version} `)
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

// From 254 on systemd has a unit fail before it starts it again, unless it is told not to.
describe.each([
  { name: 'bookworm-v2', rootfs: 'debian:bookworm' },
  { name: 'trixie-v2', rootfs: 'debian:trixie' },
] as const)('dockerd as a unit of $rootfs', ({ name, rootfs }) => {
  let vm: StartedKernelVm

  beforeAll(async () => {
    vm = await entry(name, { rootfs, cgroup: 2 }).start()
  }, 2 * BOOT_TIMEOUT_MS)
  afterAll(() => vm?.stop())

  test('one that is killed is started again, and its forward goes on', async () => {
    const before = await inGuest(vm, 'pidof dockerd')
    await inGuest(vm, `kill -9 ${before}`)
    await expect.poll(() => inGuest(vm, 'systemctl show --property NRestarts --value docker.service'), poll).toBe('1')
    // Returns when it has notified systemd.
    await inGuest(vm, 'systemctl start docker.service')
    expect(await inGuest(vm, 'pidof dockerd')).not.toBe(before)
    expect(await docker(vm, ['info', '--format', '{{.CgroupDriver}}'])).toBe('systemd')
  })

  test('one that fails for good ends the guest, which says why', async () => {
    const fork = await vm.fork()
    try {
      await fork
        .exec(['sh', '-c', 'echo \'{"bip": 7}\' >/etc/docker/daemon.json; systemctl restart docker'])
        .catch(() => {})
      expect(await death(fork)).toMatchObject({
        code: 'DOCKERD_FAILED',
        message: expect.stringContaining(
          `${name}: the guest's dockerd ended with status 1 on debian:bookworm, cgroup v2`,
        ),
        output: expect.stringContaining('daemon.json'),
      })
    } finally {
      await fork.stop()
      await rm(fork.consolePath, { force: true })
    }
  })

  test('one that its kernel kills for its memory, as often as it is started, is told as that', async () => {
    const fork = await vm.fork()
    try {
      await fork.exec(['systemctl', 'set-property', '--runtime', 'docker.service', 'MemoryMax=4M']).catch(() => {})
      expect(await death(fork)).toMatchObject({
        code: 'DOCKERD_FAILED',
        message: expect.stringContaining("the guest's dockerd was killed by the OOM killer of its kernel"),
      })
    } finally {
      await fork.stop()
      await rm(fork.consolePath, { force: true })
    }
  })
})

describe('systemd of debian:bookworm', () => {
  let vm: StartedKernelVm

  beforeAll(async () => {
    vm = await entry('bookworm-v2', { rootfs: 'debian:bookworm', cgroup: 2 }).start()
  }, 2 * BOOT_TIMEOUT_MS)
  afterAll(() => vm?.stop())

  /** What images/guest/systemd/hand-over.sh makes of a rootfs whose `files`, in sh, are written below the current directory. */
  const inHandOver = (files: string, call: string) => {
    const script = `
      PATH=$tools/bin
      mkdir -p $root$tools $root/dev && mount --bind $tools $root$tools && cd $root
      mkdir -p opt etc/systemd/system/docker.service.d usr/lib/systemd/system/docker.service.d
      echo unit >usr/lib/systemd/system/docker.service
      ${files}
      . $tools/systemd/hand-over.sh
      ${call}`
    const inBusybox = `/.testkernels/bin/sh -euc '${script}'; umount "$root/.testkernels"; rm -r "$root"`
    return inGuest(vm, `export tools=/.testkernels root=$(mktemp -d); ${inBusybox}`)
  }

  test.each([
    ['is there', ':', '/usr/lib/systemd/system/docker.service'],
    ['is masked by a link', 'ln -s /dev/null etc/systemd/system/docker.service', ''],
    ['is masked by an empty file', ': >etc/systemd/system/docker.service', ''],
    [
      'is linked by a path of the rootfs',
      'echo unit >opt/one; ln -s /opt/two opt/three; ln -s one opt/two; ln -s /opt/three etc/systemd/system/docker.service',
      '/opt/one',
    ],
  ])('a docker.service that %s', async (_, files, unit) => {
    expect(await inHandOver(files, 'find_unit docker.service')).toBe(unit)
  })

  test.each([
    ['ExecStart=/usr/bin/dockerd -H fd://', '/usr/bin/dockerd -H fd://'],
    ['ExecStart = -/usr/bin/dockerd -H fd://', '/usr/bin/dockerd -H fd://'],
    ['ExecStart=@/usr/bin/dockerd docker -D', '/usr/bin/dockerd -D'],
    ['ExecStart=/usr/bin/dockerd \\\n  -D', '/usr/bin/dockerd    -D'],
    ['ExecStart=', ''],
  ])('the command of %j', async (line, command) => {
    const unit = 'usr/lib/systemd/system/docker.service'
    expect(await inHandOver(`cat >${unit} <<\\END\n[Service]\n${line}\nEND\n`, `find_command ${unit}`)).toBe(command)
  })

  test('the command of drop-ins, of which the last by name holds and /etc goes before /usr', async () => {
    const files = [
      ['usr/lib', 'c', 'of-usr'],
      ['etc', 'c', 'of-etc'],
      ['etc', 'b', 'of-the-first'],
    ].map(
      ([above, name, command]) => `echo ExecStart=${command} >${above}/systemd/system/docker.service.d/${name}.conf`,
    )
    expect(await inHandOver(files.join('; '), 'find_command $(list_drop_ins docker.service)')).toBe('of-etc')
  })

  test('a data-root is mounted once, however often dockerd is started', async () => {
    await using fork = await vm.fork()
    await inGuest(fork, 'mkdir -p /etc/docker; echo \'{"data-root": "/data"}\' >/etc/docker/daemon.json')
    for (const _ of ['first', 'second']) await inGuest(fork, 'systemctl reset-failed docker; systemctl restart docker')
    expect(await docker(fork, ['info', '--format', '{{.DockerRootDir}}'])).toBe('/data')
    expect(await inGuest(fork, 'grep -c " /data " /proc/self/mountinfo')).toBe('1')
  })

  test('a user without rights has a dockerd of his own, with cgroups that systemd gave him', async () => {
    const fork = await vm.fork()
    try {
      await inGuest(fork, 'useradd --create-home --shell /bin/bash tester && loginctl enable-linger tester')
      const environment = 'HOME=/home/tester PATH=/usr/bin:/usr/sbin'
      const sockets = 'XDG_RUNTIME_DIR=$run DOCKER_HOST=unix://$run/docker.sock'
      const asTester = (script: string) =>
        inGuest(
          fork,
          `run=/run/user/$(id -u tester); cd /home/tester
           runuser --user tester -- env ${environment} ${sockets} sh -euc '${script}'`,
        )
      // They want to be beside the rest of docker's, and Debian has them elsewhere.
      await inGuest(fork, 'ln -s /usr/share/docker.io/contrib/dockerd-rootless*.sh /usr/bin/')
      await inGuest(fork, 'systemctl start user@$(id -u tester).service')
      // It asks the dockerd that it started after three seconds, which is early on a slow machine.
      await asTester('dockerd-rootless-setuptool.sh install || systemctl --user is-active docker.service')
      await expect
        .poll(
          () => asTester('docker info --format "{{.CgroupDriver}} {{.Driver}} {{.SecurityOptions}}" 2>&1 || true'),
          poll,
        )
        .toMatch(/^systemd overlay2 .*name=rootless/)
      await inGuest(fork, `docker save ${fixtureImage} >/home/tester/image.tar`)
      await asTester('docker load --quiet --input image.tar')
      const limited = `docker run --rm --memory 64m ${fixtureImage} cat /sys/fs/cgroup/memory.max`
      expect(await asTester(limited)).toBe('67108864')
    } finally {
      await fork.stop()
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
