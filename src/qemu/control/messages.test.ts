import { expect, test } from 'vitest'
import { identityLines, parseGuestMessage } from './messages.ts'

test('reads what the agent writes', () => {
  expect(parseGuestMessage('{"phase":"ready","uptime":13.729}')).toEqual({ phase: 'ready', uptime: 13.729 })
  expect(parseGuestMessage('{"log":"a\\u000ab"}')).toEqual({ log: 'a\nb' })
})

test.each(['', 'me":"init","uptime":2}', '{"phase":"init"}', '{"unknown":"x"}', '[]'])('ignores %j', (line) => {
  expect(parseGuestMessage(line)).toBeUndefined()
})

test('an identity ends with its commit, and the clock keeps its nanoseconds', () => {
  const lines = identityLines(
    {
      hostname: 'cgroupv1',
      machineId: '0123456789abcdef0123456789abcdef',
      hostKey: Uint8Array.of(1, 171),
      authorizedKey: 'ssh-ed25519 AAAA',
      entropy: Uint8Array.of(255),
    },
    '3',
    1_700_000_000_012.5,
  )
  expect(lines.split('\n')).toEqual([
    'clock 1700000000.012500000',
    'hostname cgroupv1',
    'machineid 0123456789abcdef0123456789abcdef',
    'entropy ff',
    'hostkey 01ab',
    'authorize ssh-ed25519 AAAA',
    'commit 3',
    '',
  ])
})
