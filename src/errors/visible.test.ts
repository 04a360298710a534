import { expect, test } from 'vitest'
import { visible, visibleLine } from './index.ts'

test.each([
  ['\x1b[2J\x1b]0;title\x07', '\\x1b[2J\\x1b]0;title\\x07'],
  ['a\rb\x08c\x7f', 'a\\x0db\\x08c\\x7f'],
  // One character of Latin-1 that is a whole escape sequence's beginning.
  ['\x9b31m', '\\x9b31m'],
  ['a\u202eb\u2066c\u2028d', 'a\\u202eb\\u2066c\\u2028d'],
  ['\ttwo\nlines, zwölf 😀', '\ttwo\nlines, zwölf 😀'],
])('%j is seen as %j', (text, seen) => {
  expect(visible(text)).toBe(seen)
})

test('what is part of a line adds none', () => {
  expect(visibleLine('warning\n ✓ all tests passed\x1b[K')).toBe('warning\\n ✓ all tests passed\\x1b[K')
})
