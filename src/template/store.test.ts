import { expect, test } from 'vitest'
import { templatesToEvict } from './store.ts'

const stored = [
  { key: 'newest', sizeBytes: 30, usedAt: new Date(3000) },
  { key: 'oldest', sizeBytes: 10, usedAt: new Date(1000) },
  { key: 'middle', sizeBytes: 20, usedAt: new Date(2000) },
]

test('nothing goes while all fit', () => {
  expect(templatesToEvict(stored, { limitBytes: 60, keep: 'newest' })).toEqual([])
})

test('the least recently used go first, and no more than need be', () => {
  expect(templatesToEvict(stored, { limitBytes: 59, keep: 'newest' })).toEqual(['oldest'])
  expect(templatesToEvict(stored, { limitBytes: 45, keep: 'newest' })).toEqual(['oldest', 'middle'])
})

test('the one in use stays, even if it alone is too large', () => {
  expect(templatesToEvict(stored, { limitBytes: 5, keep: 'oldest' })).toEqual(['middle', 'newest'])
})
