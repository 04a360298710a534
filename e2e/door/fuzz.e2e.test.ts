// The parsers of the door under lines and streams drawn at random, with the compiler's own checks of each access. The long suite has more of them.
import { expect, test } from 'vitest'
import { fuzzSeeded } from './fuzz.ts'

const LINES = 1_000_000

test.each([1, 20_261_127])(
  'reads requests, datagrams and questions as what they say, and nothing else (seed %i)',
  async (seed) => {
    expect(await fuzzSeeded({ seed, lines: LINES })).toMatch(
      new RegExp(`^${LINES} lines, \\d+ of them requests, \\d+ datagrams, and \\d+ answers$`, 'm'),
    )
  },
)
