// What the entrypoint of a VM's container makes of its network and its resolv.conf: a program in QEMU's place says what it was started with, and one
// before nft what rules it got.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { vmImage } from '../support/templates.ts'

const run = promisify(execFile)
const START_DEADLINE_MS = 60_000

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-names-'))
  await chmod(directory, 0o755)
  const scripts = {
    supervise:
      'echo "asked:$TESTKERNELS_NAME_SERVERS" >&2; echo "tap0: $(cat /sys/class/net/tap0/mtu)" >&2; printf "%s\\n" "$@"; exec sleep infinity',
    nft: 'tee /dev/stderr | /usr/sbin/nft "$@"',
  }
  for (const [name, script] of Object.entries(scripts))
    await writeFile(join(directory, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
})
afterAll(() => rm(directory, { recursive: true }))

/** What `supervise` is started with, and the rules of the container's network. */
async function start(options: readonly string[]): Promise<{ readonly said: string; readonly rules: string }> {
  const box = ['--cap-add', 'NET_ADMIN', '--device', '/dev/net/tun']
  const supervise = ['--volume', `${directory}/supervise:/testkernels/supervise:ro`]
  const nft = ['--volume', `${directory}/nft:/usr/local/sbin/nft:ro`]
  const args = [
    'run',
    '--detach',
    '--rm',
    ...box,
    ...supervise,
    ...nft,
    ...options,
    await vmImage(),
    'testkernels.cgroup=2',
  ]
  const id = (await run('docker', args)).stdout.trim()
  try {
    const logs = async () => await run('docker', ['logs', id])
    const started = async () => (await logs()).stdout
    await expect.poll(started, { timeout: START_DEADLINE_MS }).toContain('testkernels.cgroup=2')
    const { stdout, stderr } = await logs()
    return { said: stdout.trim(), rules: stderr }
  } finally {
    await run('docker', ['rm', '--force', id])
  }
}

/** Where the guest's name servers lead to, in order. */
const leadTo = (rules: string) =>
  [...rules.matchAll(/ip daddr (\S+) meta l4proto .* th dport 53 dnat to (\S+)/g)].map(([, from, to]) => [from, to])

test("up to three name servers, and what else is in resolv.conf, are the guest's", async () => {
  const servers = ['--dns', '198.51.100.1', '--dns', '198.51.100.2', '--dns', '198.51.100.3', '--dns', '198.51.100.4']
  const more = ['--dns-search', 'one.example', '--dns-search', 'two.example', '--dns-opt', 'ndots:3']
  const { said, rules } = await start([...servers, ...more])
  expect(said).toBe(
    'testkernels.cgroup=2 testkernels.nameservers=3 testkernels.search=one.example,two.example testkernels.resolver=ndots:3',
  )
  expect(leadTo(rules)).toEqual([
    ['192.0.2.1', '198.51.100.1'],
    ['192.0.2.5', '198.51.100.2'],
    ['192.0.2.6', '198.51.100.3'],
  ])
})

/** The name servers that the door has of the guest's, and those that it asks in their place. */
const asked = (rules: string) => /^asked: (.*)$/m.exec(rules)?.[1]?.split(' ')

test('servers of IPv6, which no packet of the guest reaches, are asked by the door of a VM that has an owner', async () => {
  const servers = ['--dns', '2001:db8::53', '--dns', '198.51.100.2']
  const owned = await start([...servers, '--env', 'TESTKERNELS_RUN_DIR=/tmp'])
  expect(owned.said).toMatch(/^testkernels\.cgroup=2 testkernels\.nameservers=2\b/)
  expect(asked(owned.rules)).toEqual(['192.0.2.1=2001:db8::53', '192.0.2.5', '192.0.2.6=2001:db8::53'])
  expect(leadTo(owned.rules)).toEqual([['192.0.2.5', '198.51.100.2']])
  const alone = await start(servers)
  expect(alone.said).toMatch(/^testkernels\.cgroup=2 testkernels\.nameservers=1\b/)
  expect(leadTo(alone.rules).map(([, to]) => to)).toEqual(['198.51.100.2', '198.51.100.2', '198.51.100.2'])
})

test.each([
  ['all', undefined, true],
  ['a name, with its port', 'names registry.example.org:443', true],
  ['port 53', ':53', true],
  ['a range with port 53 in it', '10.0.0.0/8: :1-1024', true],
  ['all addresses', '0.0.0.0/0:', true],
  ['nothing', 'none', false],
  ['a range without it', ':54-1024', false],
  ['addresses', '10.0.0.0/8:53', false],
  ['all addresses of IPv6', '::/0:', false],
  ['port 53 of IPv6', '::/0:53', false],
])('where a guest may reach %s (%s), the door has somebody to ask: %s', async (_, egress, may) => {
  const held = egress === undefined ? [] : ['--env', `TESTKERNELS_EGRESS=${egress}`]
  const names = ['--add-host', 'registry.example.org:198.51.100.9']
  const { rules } = await start(['--dns', '2001:db8::53', '--env', 'TESTKERNELS_RUN_DIR=/tmp', ...names, ...held])
  const addresses = ['192.0.2.1', '192.0.2.5', '192.0.2.6']
  expect(asked(rules)).toEqual(may ? addresses.map((address) => `${address}=2001:db8::53`) : addresses)
  const accepts =
    'iifname tap0 ip daddr { 192.0.2.1, 192.0.2.5, 192.0.2.6 } meta l4proto { tcp, udp } th dport 53 accept'
  expect(rules.includes(accepts)).toBe(may && egress !== undefined)
})

test("in a network that a user made, the door asks the engine's own server", async () => {
  const name = `testkernels-e2e-${randomBytes(4).toString('hex')}`
  await run('docker', ['network', 'create', name])
  try {
    const { rules } = await start(['--network', name, '--env', 'TESTKERNELS_RUN_DIR=/tmp'])
    expect(asked(rules)).toEqual(['192.0.2.1=127.0.0.11', '192.0.2.5=127.0.0.11', '192.0.2.6=127.0.0.11'])
    expect(leadTo(rules)).toEqual([])
  } finally {
    await run('docker', ['network', 'rm', name])
  }
})

test('a guest that was saved where there were more has the first in their place', async () => {
  const { said, rules } = await start(['--dns', '198.51.100.1', '--dns-search', '.'])
  expect(said).toMatch(/^testkernels\.cgroup=2 testkernels\.nameservers=1\b/)
  expect(leadTo(rules).map(([, to]) => to)).toEqual(['198.51.100.1', '198.51.100.1', '198.51.100.1'])
})

const words = /testkernels\.mtu=\d+/
test.each([
  [1400, 'testkernels.mtu=1400'],
  [9000, 'testkernels.mtu=9000'],
  [1500, undefined],
])(
  'in a network of %i bytes a packet the guest has no longer ones, and TCP in and out of it neither',
  async (mtu, told) => {
    const name = `testkernels-e2e-${randomBytes(4).toString('hex')}`
    await run('docker', ['network', 'create', '--opt', `com.docker.network.driver.mtu=${mtu}`, name])
    try {
      const { said, rules } = await start(['--network', name])
      expect(words.exec(said)?.[0]).toBe(told)
      expect(rules).toContain(`tap0: ${mtu}\n`)
      expect(rules.includes('tcp option maxseg size set rt mtu')).toBe(told !== undefined)
    } finally {
      await run('docker', ['network', 'rm', name])
    }
  },
)
