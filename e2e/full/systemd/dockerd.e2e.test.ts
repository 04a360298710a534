// dockerd as a unit of the rootfs's systemd: how it is started, and what becomes of a guest whose dockerd ends.
import { rm } from 'node:fs/promises'
import type { StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage } from '../../support/env.ts'
import { BOOT_TIMEOUT_MS, death, entry, inGuest, poll } from './guests.ts'

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
