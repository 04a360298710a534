import { describe, expect, test } from 'vitest'
import type { GuestInit } from '../../options/index.ts'
import { parseKernelEntry } from '../../options/index.ts'
import { checkRootfs, formatSystemd, type GuestEngine, parseSystemd, type RootfsFacts } from './rootfs.ts'

const facts = (systemd?: number, daemonJson?: string): RootfsFacts => ({
  daemonJson,
  systemd: systemd === undefined ? undefined : { version: systemd, engine: 'dockerd' },
})
const check = (given: RootfsFacts, init: GuestInit, cgroup: 1 | 2 = 2) =>
  checkRootfs(given, { entry: 'e', init, cgroup, preload: [], daemon: {} })

test.each<[RootfsFacts, GuestInit, 1 | 2]>([
  [facts(), 'testkernels', 1],
  [facts(259), 'testkernels', 1],
  [facts(), ['sleep', '1'], 2],
  [facts(undefined, '{"storage-driver": "zfs"}'), ['sleep', '1'], 2],
  [facts(259), 'systemd', 2],
  [facts(257), 'systemd', 1],
  [facts(252), 'systemd', 1],
  [{ daemonJson: undefined, systemd: { version: undefined, engine: 'dockerd' } }, 'systemd', 1],
])('%j will do for init %j on cgroup v%i', (given, init, cgroup) => {
  expect(() => check(given, init, cgroup)).not.toThrow()
})

test('a rootfs without systemd is refused by name where it would be PID 1', () => {
  expect(() => check(facts(), 'systemd')).toThrow(
    expect.objectContaining({
      code: 'ROOTFS_UNSUITABLE',
      entry: 'e',
      message: expect.stringContaining('the rootfs has no systemd (/lib/systemd/systemd)'),
      remedy: expect.stringContaining('systemd-sysv'),
    }),
  )
})

test('a systemd that has no cgroup v1 is refused by its version', () => {
  expect(() => check(facts(258), 'systemd', 1)).toThrow(
    expect.objectContaining({
      code: 'ROOTFS_UNSUITABLE',
      message: expect.stringContaining('systemd 258 of the rootfs has no cgroup v1'),
      remedy: expect.stringContaining('debian:bookworm'),
    }),
  )
})

test.each<GuestInit>(['testkernels', 'systemd'])(
  'the daemon.json of a rootfs is looked through with init %s',
  (init) => {
    expect(() => check(facts(252, '{"storage-driver": "zfs"}'), init)).toThrow('storage-driver')
  },
)

describe.each<GuestEngine>(['containerd', 'none'])('a rootfs with %s', (engine) => {
  const given: RootfsFacts = { daemonJson: undefined, systemd: { version: 257, engine } }

  test('will do without docker', () => {
    expect(() => check(given, 'systemd')).not.toThrow()
  })

  test.each([
    ['images', { images: ['busybox'] }],
    ['daemon', { daemon: { debug: true } }],
  ])('is refused with %s, which dockerd would have', (option, options) => {
    const entry = parseKernelEntry('e', { kernel: 'debian:bookworm', init: 'systemd', ...options })
    expect(() => checkRootfs(given, { ...entry, entry: 'e' })).toThrow(
      expect.objectContaining({
        code: 'ROOTFS_UNSUITABLE',
        message: expect.stringContaining(`no docker.service, whose dockerd the option '${option}' is for`),
      }),
    )
  })
})

test.each<[number | undefined, GuestEngine]>([
  [257, 'dockerd'],
  [undefined, 'containerd'],
])('a label says the version %s, and %s', (version, engine) => {
  expect(parseSystemd(formatSystemd({ version, engine }))).toEqual({ version, engine })
})

test('without a label there is no systemd', () => {
  expect(parseSystemd(undefined)).toBeUndefined()
})
