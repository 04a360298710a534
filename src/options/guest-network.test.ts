import { expect, test } from 'vitest'
import { egressWords } from './guest-network.ts'
import { parseKernelEntry } from './kernel-entry.ts'

const entry = (egress: unknown) => parseKernelEntry('v2', { kernel: 'debian:trixie', egress })

test('all is the default, and nothing is held', () => {
  const { egress } = parseKernelEntry('v2', { kernel: 'debian:trixie' })
  expect(egress).toBe('all')
  expect(egressWords(egress)).toBeUndefined()
})

test('none, and a list with nothing in it, hold all', () => {
  expect(egressWords('none')).toEqual([])
  expect(egressWords([])).toEqual([])
})

test('a list has addresses and ports, and names, for which name servers are asked', () => {
  const addresses = ['10.0.0.0/8', '192.0.2.7:443', ':53', '198.51.100.0/24:8000-8080']
  expect(egressWords(addresses)).toEqual(['10.0.0.0/8:', '192.0.2.7:443', ':53', '198.51.100.0/24:8000-8080'])
  expect(egressWords(['fd00::/8', '[2001:db8::1]:443', '[::/0]:53', '2001:DB8::1'])).toEqual([
    ...['fd00::/8:', '2001:db8::1:443', '::/0:53', '2001:db8::1:'],
  ])
  expect(egressWords(['host.docker.internal:8080'])).toEqual(['host.docker.internal:8080'])
  expect(egressWords(['Registry.Example.org:443', 'db'])).toEqual(['names', 'registry.example.org:443', 'db:'])
})

test.each([
  ['some', `v2: option 'egress' must be ("all" | "none"), got "some"`],
  [[443], "v2: option 'egress.0' must be string, got 443"],
  [[''], `v2: "" in the option 'egress' is empty`],
  [['none'], `"none" in the option 'egress' is no part of a list`],
  [['example.org:'], '"example.org:" in the option \'egress\' has no port that could be'],
  [['example.org:https'], 'has no port that could be'],
  [['example.org:0'], 'has no port that could be'],
  [['example.org:65536'], 'has no port that could be'],
  [['example.org:90-80'], 'has no port that could be'],
  [['10.0.0.0/33'], 'is neither a host name nor an address'],
  [['10.0.0/8'], 'is neither a host name nor an address'],
  [['10.0.0.1/8/8'], 'is neither a host name nor an address'],
  [['-x.example.org'], 'is neither a host name nor an address'],
  [['$(reboot)'], 'is neither a host name nor an address'],
  [['a b'], 'is neither a host name nor an address'],
  [['https://example.org'], 'has no port that could be'],
  [['2001:db8::1/129'], 'has no port that could be'],
  [['fe80::1%eth0'], 'has no port that could be'],
  [['[fe80::1%eth0]:443'], 'is neither a host name nor an address'],
  [['[2001:db8::/129]:443'], 'is neither a host name nor an address'],
  [['[2001:db8::1'], 'has no port that could be'],
  [['[10.0.0.1]:443'], 'has brackets around what is not of IPv6'],
  [['[]:443'], 'has brackets around what is not of IPv6'],
])('refuses %j', (egress, message) => {
  expect(() => entry(egress)).toThrow(
    expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
  )
})

test('a network has a name, and is none unless an entry says so', () => {
  const network = (name?: unknown) => parseKernelEntry('v2', { kernel: 'debian:trixie', network: name }).network
  expect(network()).toBe('none')
  expect(network('cluster-1')).toBe('cluster-1')
  for (const name of ['', '-x', 'a b', 'a/b', 'x'.repeat(41)])
    expect(() => network(name)).toThrow(
      `v2: ${JSON.stringify(name)} in the option 'network' cannot be the name of a network`,
    )
  expect(() => network(1)).toThrow("option 'network' must be string, got 1")
})
