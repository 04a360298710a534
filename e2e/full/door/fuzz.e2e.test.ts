// The parsers of the door under libFuzzer, and under many more drawn lines than the daily suite has.
import { expect, test } from 'vitest'
import { fuzzGuided, fuzzSeeded } from '../../door/fuzz.ts'

const SECONDS = 60
const LINES = 20_000_000

test('a fuzzer that looks for new ways through it finds no fault', async () => {
  const said = await fuzzGuided({ seconds: SECONDS })
  expect(Number(/stat::number_of_executed_units: (\d+)/.exec(said)?.[1])).toBeGreaterThan(100_000)
})

test('nor do many lines that are drawn near to what is right', async () => {
  expect(await fuzzSeeded({ seed: Date.now(), lines: LINES })).toContain(`${LINES} lines`)
})
