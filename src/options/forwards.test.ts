import { expect, test } from 'vitest'
import { type ForwardOptions, forwardName, forwardVariable, parseForward } from './forwards.ts'
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
