import { expect, test } from 'vitest'
import { doorLines, identityLines, parseGuestMessage, settingsLines } from './control-messages.ts'

test('reads what the agent writes', () => {
  expect(parseGuestMessage('{"phase":"ready","uptime":13.729}')).toEqual({ phase: 'ready', uptime: 13.729 })
  expect(parseGuestMessage('{"log":"a\\u000ab"}')).toEqual({ log: 'a\nb' })
})

test.each([
  '',
  'me":"init","uptime":2}',
  '{"phase":"init"}',
  '{"unknown":"x"}',
  '[]',
  'null',
  '['.repeat(10_000),
  '{"phase":"x","uptime":1e999}',
  '{"loading":"-1"}',
  '{"time":"1 NaN"}',
  `{"phase":"${'x'.repeat(65)}","uptime":1}`,
])('ignores %j', (line) => {
  expect(parseGuestMessage(line)).toBeUndefined()
})

test('a time may be a whole second', () => {
  for (const time of ['7 1700000000', '7 1700000000.5'])
    expect(parseGuestMessage(JSON.stringify({ time }))).toEqual({ time })
})

test('fields that nobody knows are not kept', () => {
  const read = parseGuestMessage('{"warning":"x","more":{"a":1},"__proto__":{"b":2},"phase":"y"}')
  expect(read).toEqual({ warning: 'x' })
})

test('the owner is let in when there are random numbers', () => {
  const lines = doorLines({ doorSecret: 'c0ffee', entropy: Uint8Array.of(255) })
  expect(lines.split('\n')).toEqual(['entropy ff', 'door c0ffee', ''])
  const proxies = [{ scheme: 'https', host: 'proxy.example.org', port: 3128, credentials: 'bWU6c2VjcmV0' }] as const
  expect(doorLines({ doorSecret: 'c0ffee', entropy: Uint8Array.of(255), proxies })).toBe(
    `${lines}proxy https proxy.example.org 3128 bWU6c2VjcmV0\n`,
  )
})

test('a file of settings comes in pieces that are shorter than what the agent reads at a time, and then the start', () => {
  const content = 'é'.repeat(5000)
  const lines = settingsLines([
    { path: '/a b', content: '{}' },
    { path: '/c', content },
  ]).split('\n')
  expect(lines[0]).toBe('file 2f612062 7b7d')
  expect(lines.slice(-2)).toEqual(['start', ''])
  // What was there before is not added to.
  expect(lines.slice(1, -2).map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
    'file 2f63',
    'more 2f63',
    'more 2f63',
  ])
  const pieces = lines.slice(1, -2).map((line) => line.split(' ')[2])
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(16_384)
  expect(Buffer.from(pieces.join(''), 'hex').toString()).toBe(content)
})

test('an identity has its commit before the keys, which nobody waits for, and the clock keeps its nanoseconds', () => {
  const keys = { hostKey: Uint8Array.of(1, 171), authorizedKey: 'ssh-ed25519 AAAA' }
  const identity = { hostname: 'cgroupv1', machineId: '0123456789abcdef0123456789abcdef', ...keys }
  expect(identityLines(identity, '3', 1_700_000_000_012.5).split('\n')).toEqual([
    'clock 1700000000.012500000',
    'hostname cgroupv1',
    'machineid 0123456789abcdef0123456789abcdef',
    'commit 3',
    'hostkey 01ab',
    'authorize ssh-ed25519 AAAA',
    'admit',
    '',
  ])
  const endpoint = { address: '172.20.0.2', prefixLength: 16, macAddress: '02:42:ac:14:00:02' }
  const ofVms = identityLines({ ...identity, endpoint }, '3', 0).split('\n')
  expect(ofVms.slice(2, 5)).toEqual([
    'machineid 0123456789abcdef0123456789abcdef',
    'network 172.20.0.2 16 02:42:ac:14:00:02',
    'commit 3',
  ])
})
