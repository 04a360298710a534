import { expect, test } from 'vitest'
import type { GuestInit } from '../../options/index.ts'
import { checkDaemonJson } from './daemon-json.ts'

const check = (config: unknown, init: GuestInit = 'testkernels') =>
  checkDaemonJson(typeof config === 'string' ? config : JSON.stringify(config), { entry: 'e', init })

test.each([
  {},
  '',
  { bip: '10.9.0.1/16', 'default-address-pools': [{ base: '10.10.0.0/16', size: 24 }] },
  { hosts: ['tcp://127.0.0.1:2375', 'unix:///var/run/docker.sock'], tls: true },
  { hosts: ['unix:///run/docker.sock'] },
  { containerd: '/run/containerd/containerd.sock', 'data-root': '/data' },
  { 'exec-opts': ['native.cgroupdriver=cgroupfs'], 'storage-driver': 'overlay2' },
  { 'log-driver': 'local', 'unknown-to-us': { hosts: [] } },
])('%j will do', (config) => {
  expect(() => check(config)).not.toThrow()
})

test.each([
  [{ hosts: ['tcp://0.0.0.0:2375'] }, '"hosts" has no unix:///var/run/docker.sock', 'add unix:///var/run/docker.sock'],
  [{ hosts: ['unix:///var/run/docker.sock', 'fd://'] }, '"hosts" has fd://', 'take it out'],
  [{ tlsverify: true }, 'dockerd listens on tcp://localhost:2376 alone', 'set "hosts" to'],
  [{ 'exec-opts': ['native.cgroupdriver=systemd'] }, 'native.cgroupdriver=systemd', 'cgroupfs'],
  [{ 'storage-driver': 'btrfs' }, '"storage-driver" is that of another file system', 'overlay2'],
  ['{"bip": ', 'dockerd cannot read it', 'correct it'],
  [{ hosts: 'unix:///var/run/docker.sock' }, 'dockerd cannot read it', 'correct it'],
  ['7', 'dockerd cannot read it', 'correct it'],
])('%j is refused by name, with a remedy', (config, what, remedy) => {
  expect(() => check(config)).toThrow(
    expect.objectContaining({
      code: 'ROOTFS_UNSUITABLE',
      entry: 'e',
      message: expect.stringContaining(what),
      remedy: expect.stringContaining(remedy),
    }),
  )
})

test('what is of systemd will do where that is PID 1, and nothing else does', () => {
  expect(() => check({ 'exec-opts': ['native.cgroupdriver=systemd'] }, 'systemd')).not.toThrow()
  expect(() => check({ hosts: ['unix:///run/docker.sock', 'fd://'] }, 'systemd')).not.toThrow()
  expect(() => check({ 'storage-driver': 'zfs' }, 'systemd')).toThrow('storage-driver')
})

test('all that will not do is told at once', () => {
  expect(() => check({ hosts: ['tcp://0.0.0.0:2375'], 'storage-driver': 'zfs' })).toThrow(
    /"hosts" has no .*; "storage-driver"/,
  )
})
