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
  [{ labels: ['x'.repeat(65_536)] }, "option 'daemon' has more than 65535 bytes of JSON"],
  [{ debug: undefined }, "option 'daemon' must be keys of daemon.json with values that JSON can have"],
  [{ 'max-concurrent-downloads': 1n }, 'values that JSON can have'],
  [{ 'shutdown-timeout': Number.NaN }, 'values that JSON can have'],
  ['{"debug": true}', "option 'daemon' must be Object, got"],
])('refuses %o', (daemon, message) => {
  expect(() => entry({ daemon })).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
  )
})

test('proxies are what docker or the engine has, unless the entry says other', () => {
  expect(entry({}).proxy).toBe('inherit')
  const proxy = {
    http: 'http://me:pass%20word@proxy.example.org:3128',
    https: 'socks5://10.0.0.1:1080',
    no: 'a.example.org, .b',
  }
  expect(entry({ proxy }).proxy).toEqual(proxy)
})

test.each([
  ['http://me:t0p-secret@proxy.example.org', "v2: the option 'proxy' is neither 'inherit' nor 'none'"],
  [{ http: 'proxy.example.org:3128/t0p-secret' }, "v2: the option 'proxy.http' is no URL of http, https or socks5"],
  [{ https: 'ftp://me:t0p-secret@proxy.example.org' }, "the option 'proxy.https' is no URL of http, https or socks5"],
  [{ https: 'https://me:t0p-secret@proxy.example.org' }, 'has a user, whom only a proxy of http:// can be told here'],
  [{ http: 'http://me:t0p-secret%@proxy.example.org' }, 'has a % in its user or password'],
  [{ http: 'http://proxy.example.org/\nt0p-secret' }, 'has blanks, or is not printable ASCII'],
  [{ no: 'a\nLD_PRELOAD=t0p-secret' }, "the option 'proxy.no' has blanks"],
  [{ all: 'http://proxy.example.org' }, "unknown option 'proxy.all'"],
])('refuses the proxy %j, and says nothing of what is in it', (proxy, message) => {
  const refusal = () => entry({ proxy })
  expect(refusal).toThrow(message)
  expect(refusal).not.toThrow('t0p-secret')
})

test('CAs of registries are those of this machine, or of a directory that is there', () => {
  expect(entry({}).registryCertificates).toBe('inherit')
  expect(entry({ registryCertificates: import.meta.dirname }).registryCertificates).toBe(import.meta.dirname)
  expect(() => entry({ registryCertificates: './none/such' })).toThrow(
    "v2: the option 'registryCertificates' needs ./none/such, which is not there",
  )
})

test('with systemd as PID 1 its cgroup driver may be named', () => {
  const daemon = { 'exec-opts': ['native.cgroupdriver=systemd'] }
  expect(entry({ daemon, init: 'systemd' }).daemon).toEqual(daemon)
})

test('is refused where another command runs in place of dockerd', () => {
  expect(() => entry({ daemon: { debug: true }, init: ['sleep', 'infinity'] })).toThrow(
    "in place of which 'init' has another command",
  )
})
