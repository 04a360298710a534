import { expect, test } from 'vitest'
import { drawTimings } from './timings.ts'

test('draws the steps in the order in which they began, on one scale', () => {
  const drawn = drawTimings([
    { name: 'ssh', fromMs: 500, toMs: 1000 },
    { name: 'image', fromMs: 0, toMs: 10 },
    { name: 'container', fromMs: 0, toMs: 500 },
  ])
  expect(drawn).toBe(
    [
      `container   0.50 s  ${'█'.repeat(24)}`,
      'image       0.01 s  █',
      `ssh         0.50 s  ${' '.repeat(24)}${'█'.repeat(24)}`,
      '',
    ].join('\n'),
  )
})

test('a step at the very end is seen', () => {
  const [, last] = drawTimings([
    { name: 'a', fromMs: 0, toMs: 100 },
    { name: 'b', fromMs: 100, toMs: 100 },
  ]).split('\n')
  expect(last).toMatch(/^b {3}0\.00 s {2} {47}█$/)
})
