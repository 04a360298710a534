import { expect, test } from 'vitest'
import { matrixRows, parseKernelEntry } from './kernel-entry.ts'

const entry = (options: object) => parseKernelEntry('v2', { kernel: 'debian:trixie', ...options })

test('is nothing by default, and travels as it is', () => {
  expect(entry({}).daemon).toEqual({})
  const daemon = { 'registry-mirrors': ['https://mirror.example.org'], 'default-ulimits': { nofile: { Hard: 64 } } }
  expect(matrixRows({ v2: { kernel: 'debian:trixie', daemon } })).toMatchObject([{ daemon }])
})

test.each([
  { 'live-restore': true, debug: true, 'log-driver': 'local' },
  // Our flags yield to these.
  { bip: '10.9.0.1/16', 'default-address-pools': [{ base: '10.10.0.0/16', size: 24 }] },
  { 'exec-opts': ['native.cgroupdriver=cgroupfs'], 'storage-driver': 'overlay2' },
  { 'unknown-to-us': null },
])('takes %j', (daemon) => {
  expect(entry({ daemon }).daemon).toEqual(daemon)
})

test.each([
  [{ debug: true, hosts: ['tcp://0.0.0.0:2375'] }, `v2: the option 'daemon' has "hosts", which is not yours to give`],
  [{ tlsverify: true }, '"tlsverify", which is not yours'],
  [{ containerd: '/run/x.sock' }, '"containerd", which is not yours to give: its containerd is started before it'],
  [{ 'data-root': '/data' }, '"data-root", which is not yours'],
  [{ 'exec-root': '/data' }, '"exec-root", which is not yours'],
  [{ pidfile: '/run/x.pid' }, '"pidfile", which is not yours'],
  [{ 'exec-opts': ['native.cgroupdriver=systemd'] }, 'native.cgroupdriver=systemd in "exec-opts"'],
  [{ 'storage-driver': 'zfs' }, 'has the "storage-driver" zfs'],
  [{ debug: undefined }, "option 'daemon' must be keys of daemon.json with values that JSON can have"],
  [{ 'max-concurrent-downloads': 1n }, 'values that JSON can have'],
  [{ 'shutdown-timeout': Number.NaN }, 'values that JSON can have'],
  ['{"debug": true}', "option 'daemon' must be Object, got"],
])('refuses %o', (daemon, message) => {
  expect(() => entry({ daemon })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
  )
})

test('is refused where another command runs in place of dockerd', () => {
  expect(() => entry({ daemon: { debug: true }, init: ['sleep', 'infinity'] })).toThrow(
    "in place of which 'init' has another command",
  )
})
