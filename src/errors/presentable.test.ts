import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { InvalidOptionError } from '../options/index.ts'
import { presentable, toReport } from './presentable.ts'

test('an error of ours is printed as its message, without stack and without repetition', () => {
  const error = new InvalidOptionError({ what: "unknown option 'memory'", entry: 'one', remedy: 'use memoryMib' })
  expect(inspect(presentable(error))).toBe(
    "[InvalidOptionError [INVALID_OPTION]: one: unknown option 'memory'\n  remedy: use memoryMib]",
  )
  expect(error).toMatchObject({ code: 'INVALID_OPTION', entry: 'one', remedy: 'use memoryMib' })
})

test('the report of one has nothing but name and message', () => {
  const report = toReport(new InvalidOptionError({ what: 'wrong', remedy: 'do right' })) as Error
  expect(Object.getOwnPropertyNames(report).sort()).toEqual(['message', 'name', 'stack'])
  expect(report.stack).toBe('InvalidOptionError [INVALID_OPTION]: wrong\n  remedy: do right')
})

test("any other error keeps its stack: it is a bug's only trace", () => {
  const error = new TypeError('x is not a function')
  expect(presentable(error)).toBe(error)
  expect(toReport(error)).toBe(error)
  expect(inspect(error)).toContain('presentable.test.ts')
})
