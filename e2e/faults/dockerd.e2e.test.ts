import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { baseImage } from '../support/env.ts'

const fixtures = join(import.meta.dirname, '../../fixtures')
const dockerfile = join(fixtures, 'rootfs-failing/Dockerfile')

test('a dockerd that does not start is the error at once, with its log', async () => {
  const rootfs = { dockerfile, buildArgs: { BASE: baseImage } }
  const starting = new KernelVm({ name: 'refusing', kernel: 'debian:bookworm', cgroup: 1, rootfs }).start()
  await expect(starting).rejects.toMatchObject({
    code: 'DOCKERD_FAILED',
    message: expect.stringMatching(/^refusing: .* ended with status 1 on debian:bookworm, cgroup v1/),
    output: "failed to start daemon: Devices cgroup isn't mounted",
  })
})

test('a daemon.json that keeps dockerd from coming up is refused by name before anything is packed', async () => {
  const DAEMON_JSON = '{"hosts": ["tcp://127.0.0.1:2375"], "exec-opts": ["native.cgroupdriver=systemd"]}'
  const rootfs = { dockerfile, buildArgs: { BASE: baseImage, DAEMON_JSON } }
  await expect(new KernelVm({ name: 'refused', kernel: 'debian:bookworm', rootfs }).start()).rejects.toMatchObject({
    code: 'ROOTFS_UNSUITABLE',
    message: expect.stringMatching(/^refused: .*daemon\.json will not do: "hosts" has no .*; "exec-opts" has native/),
    remedy: expect.stringContaining('leave "hosts" out'),
  })
})

test('dockerd comes up with what the rootfs and the entry configure in place of ours, and reports what is in force', async () => {
  const rootfs = { dockerfile: join(fixtures, 'rootfs-configured/Dockerfile'), buildArgs: { BASE: baseImage } }
  const daemon = { debug: true, 'log-driver': 'json-file' }
  await using vm = await new KernelVm({ name: 'configured', kernel: 'debian:bookworm', rootfs, daemon }).start()
  const docker = new Docker({ socketPath: vm.dockerHost.slice('unix://'.length) })

  const info = await docker.info()
  expect(info).toMatchObject({ DockerRootDir: '/srv/docker', Driver: 'overlay2' })
  // The entry's go before the rootfs's.
  expect(info).toMatchObject({ LoggingDriver: 'json-file', Debug: true })
  const bridge = await docker.getNetwork('bridge').inspect()
  expect(bridge.IPAM?.Config?.[0]?.Subnet).toBe('10.9.0.0/24')
  const network = await docker.createNetwork({ Name: 'of-the-pool' })
  expect((await network.inspect()).IPAM?.Config?.[0]?.Subnet).toBe('10.10.0.0/24')
  expect(await vm.exec(['test', '-S', '/run/containerd/containerd.sock'])).toMatchObject({ exitCode: 0 })

  const sysctls =
    'cat vm/max_map_count net/ipv4/conf/eth0/log_martians net/ipv4/conf/default/accept_redirects vm/swappiness'
  // The file of its name in /usr, and with it the last, counts for nothing.
  expect((await vm.exec(['sh', '-c', `cd /proc/sys && ${sysctls}`])).stdout).toBe('262144\n1\n0\n60\n')

  // It has no apparmor_parser: nobody says that containers are confined.
  expect(info.SecurityOptions.join()).not.toContain('apparmor')
  expect((await vm.exec(['ls', '/sys/kernel/security'])).stdout).not.toContain('apparmor')
  expect((await vm.exec(['cat', '/sys/kernel/security/lsm'])).exitCode).toBe(0)
})
