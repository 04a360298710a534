import { expect, test } from 'vitest'
import { LineSplitter } from './index.ts'

test('a line is whole however it was cut, and an empty one is a line', () => {
  const lines = new LineSplitter()
  expect([...'one\n\ntwo\r\nthr'].flatMap((letter) => lines.push(letter))).toEqual(['one', '', 'two\r'])
  expect(lines.rest).toBe('thr')
  expect(lines.push('ee\nfour\nfi')).toEqual(['three', 'four'])
  expect(lines.flush()).toBe('fi')
  expect(lines.rest).toBe('')
})
