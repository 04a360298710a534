import { expect, test } from 'vitest'
import { type EntryResult, isPassed, summaryLines } from './result.ts'

const results: EntryResult[] = [
  { entry: 'v1', kernel: 'debian:bookworm', outcome: { kind: 'exited', status: 0 }, ms: 1_234 },
  { entry: 'trixie-cgroupv2', kernel: 'debian:trixie', outcome: { kind: 'exited', status: 3 }, ms: 61_000 },
  { entry: 'x', kernel: 'host', outcome: { kind: 'vm-failed', why: 'kernel panic' }, ms: 0 },
  { entry: 'y', kernel: 'host', outcome: { kind: 'not-run' }, ms: 0 },
]

test('a table of all entries', () => {
  expect(summaryLines(results)).toEqual([
    'entry            kernel           time    result',
    'v1               debian:bookworm  1.2 s   passed',
    'trixie-cgroupv2  debian:trixie    61.0 s  failed with status 3',
    'x                host             0.0 s   failed: kernel panic',
    'y                host             0.0 s   not run',
  ])
})

test('only a command that was run and ended with 0 has passed', () => {
  expect(results.map(isPassed)).toEqual([true, false, false, false])
})
