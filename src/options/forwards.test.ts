import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { visible } from '../errors/index.ts'
import {
  checkMounts,
  type ForwardOptions,
  forwardName,
  forwardVariable,
  type MountOptions,
  parseForward,
  parseMount,
} from './forwards.ts'
import { parseKernelEntry } from './kernel-entry.ts'

const parse = (forwards: unknown) => parseKernelEntry('v2', { kernel: 'debian:trixie', forwards })

test.each<[ForwardOptions, string, string]>([
  [{ guest: '/run/docker/containerd/containerd.sock' }, 'containerd', 'TESTKERNELS_FORWARD_CONTAINERD'],
  [{ guest: '/run/dbus/system_bus_socket' }, 'system_bus_socket', 'TESTKERNELS_FORWARD_SYSTEM_BUS_SOCKET'],
  [{ guest: 8080 }, '8080', 'TESTKERNELS_FORWARD_8080'],
  [{ guest: 5432, host: 5432, name: 'my-db' }, 'my-db', 'TESTKERNELS_FORWARD_MY_DB'],
])('%j is told to tests by its name', (forward, name, variable) => {
  expect(parse([forward]).forwards).toEqual([forward])
  expect(forwardName(forward)).toBe(name)
  expect(forwardVariable(name)).toBe(variable)
})

test.each<[unknown, string]>([
  [[{ guest: 'run/x.sock' }], "option 'forwards.0.guest' must be"],
  [[{ guest: 0 }], "option 'forwards.0.guest' must be"],
  [[{ guest: 80, host: 65_536 }], "option 'forwards.0.host' must be"],
  [[{ guest: 80, port: 80 }], "unknown option 'forwards.0.port'"],
  [[{ guest: 80, name: 'a/b' }], "option 'forwards.0.name' must be"],
  [[{ guest: '/run/it is.sock' }], "a forward cannot be called 'it is'"],
  [[{ guest: '/run/a.sock' }, { guest: '/srv/a.sock' }], 'told to tests as TESTKERNELS_FORWARD_A'],
  [
    [
      { guest: 80, name: 'a-b' },
      { guest: 81, name: 'a.b' },
    ],
    'told to tests as TESTKERNELS_FORWARD_A_B',
  ],
  [
    [
      { guest: 80, host: 8080 },
      { guest: 81, host: 8080 },
    ],
    'two forwards ask for port 8080 of this machine',
  ],
])('%j is refused by name', (forwards, what) => {
  expect(() => parse(forwards)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', what: expect.stringContaining(what) }),
  )
})

test.each<[string, ForwardOptions]>([
  ['/run/x.sock', { guest: '/run/x.sock' }],
  ['8080', { guest: 8080 }],
  ['5433:5432', { guest: 5432, host: 5433 }],
  ['db=5432', { guest: 5432, name: 'db' }],
  ['c=7000:/run/a=b:1.sock', { guest: '/run/a=b:1.sock', host: 7000, name: 'c' }],
])('the command line says it as %s', (text, forward) => {
  expect(parseForward(text)).toEqual(forward)
})

test.each(['', 'x.sock', 'a:b', '5432:', '=80'])('%j on the command line is none', (text) => {
  expect(() => parseForward(text)).toThrow(`'${text}' is no forward`)
})

test('ports of this machine are ports, each once', () => {
  const hostPorts = (ports: unknown) => parseKernelEntry('v2', { kernel: 'debian:trixie', hostPorts: ports }).hostPorts
  expect(hostPorts([5432, 8080, 5432])).toEqual([5432, 8080])
  expect(() => hostPorts([65_536])).toThrow("option 'hostPorts.0' must be")
  expect(() => hostPorts(5432)).toThrow("option 'hostPorts' must be")
  const many = Array.from({ length: 33 }, (_, at) => 8000 + at)
  expect(hostPorts([...many.slice(1), 8001])).toHaveLength(32)
  expect(() => hostPorts(many)).toThrow("option 'hostPorts' must be at most 32 ports")
})

describe('mounts', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tk-mounts-'))
    mkdirSync(join(directory, 'sub'))
    writeFileSync(join(directory, 'file'), '')
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  const parseMounts = (mounts: unknown) => parseKernelEntry('v2', { kernel: 'debian:trixie', mounts }).mounts
  /** Of the directory that there is, at these places of the guest. */
  const at = (...places: string[]) => places.map((guest) => ({ host: directory, guest }))

  test('none unless said, read-only unless said, and taken from the working directory', () => {
    expect(parseMounts(undefined)).toEqual([])
    const host = relative(process.cwd(), join(directory, 'sub'))
    expect(parseMounts([{ host, guest: '/src' }])).toEqual([
      { host: join(directory, 'sub'), guest: '/src', access: 'read-only' },
    ])
    expect(parseMounts([{ host: directory, guest: directory, access: 'read-write' }])).toEqual([
      { host: directory, guest: directory, access: 'read-write' },
    ])
  })

  test('one may be within another, and where the guest has something of its own that it can do without', () => {
    const places = ['/src', '/src/out', '/usr/local/src', '/etc/ssl', '/home', '/runner', '/var/lib/dockerish', '/a..b']
    expect(parseMounts(at(...places)).map(({ guest }) => guest)).toEqual(places)
  })

  test.each([
    ['/', '/.testkernels'],
    ['/run', '/run'],
    ['/run/user/0', '/run'],
    ['/var', '/var/lib/docker'],
    ['/var/lib', '/var/lib/docker'],
    ['/var/lib/docker/volumes', '/var/lib/docker'],
    ['/lib/modules/6.1.0', '/lib/modules'],
    ['/usr/lib/modules', '/usr/lib/modules'],
    ['/usr', '/usr/lib/modules'],
    ['/usr/bin', '/usr/bin'],
    ['/etc', '/etc'],
    ['/proc/1', '/proc'],
  ])('%s of the guest is refused, which needs its %s', (guest, needed) => {
    expect(() => parseMounts(at(guest))).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        entry: 'v2',
        what: `${guest} cannot be mounted over: the guest needs its ${needed}`,
      }),
    )
  })

  test.each(['/src/', '//src', '/src/../etc', '/src/.', '/a\nb', '/a\0b'])(
    '%j of the guest is no plain path',
    (guest) => {
      expect(() => parseMounts(at(guest))).toThrow(
        expect.objectContaining({ what: `'${visible(guest)}' of the option 'mounts' is no plain path` }),
      )
    },
  )

  test.each<[string, () => unknown, string]>([
    ['a file', () => [{ host: join(directory, 'file'), guest: '/src' }], "file of the option 'mounts' is no directory"],
    ['what is not there', () => [{ host: join(directory, 'none'), guest: '/src' }], 'is no directory of this machine'],
    ['two at one place', () => at('/src', '/src'), 'two directories would be mounted at /src'],
    ['a place that is none', () => at('src'), "option 'mounts.0.guest' must be"],
    ['no directory', () => [{ host: '', guest: '/src' }], "option 'mounts.0.host' must be"],
    ['a path that the door does not take', () => at(`/${'x'.repeat(1023)}`), "option 'mounts.0.guest' must be"],
    ["docker's word", () => [{ host: directory, guest: '/src', access: 'ro' }], "option 'mounts.0.access' must be"],
    [
      'another option',
      () => [{ host: directory, guest: '/src', readonly: true }],
      "unknown option 'mounts.0.readonly'",
    ],
  ])('%s is refused by name', (_, mounts, what) => {
    expect(() => parseMounts(mounts())).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', entry: 'v2', what: expect.stringContaining(what) }),
    )
  })

  test('a machine other than Linux is refused, unless there are none', () => {
    expect(() => checkMounts(at('/src'), 'v2', 'darwin')).toThrow("the option 'mounts' needs Linux on this machine")
    checkMounts([], 'v2', 'darwin')
  })
})

test.each<[string, MountOptions]>([
  ['.:/src', { host: '.', guest: '/src', access: 'read-only' }],
  ['./out:/out:rw', { host: './out', guest: '/out', access: 'read-write' }],
  ['/a:b:/src:ro', { host: '/a:b', guest: '/src', access: 'read-only' }],
])('the command line says a mount as %s', (text, mount) => {
  expect(parseMount(text)).toEqual(mount)
})

test.each(['', '/src', ':/src', '.:src', '.:/src:r', '.:/src:rw:'])('%j on the command line is no mount', (text) => {
  expect(() => parseMount(text)).toThrow(`'${text}' is no mount`)
})
