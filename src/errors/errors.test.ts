import { inspect } from 'node:util'
import { expect, test, vi } from 'vitest'
import { InvalidOptionError } from '../options/index.ts'
import { firstFailure, formatError, presentable, reasonOf, TestkernelsError, titleOf, toReport } from './index.ts'

class ExampleError extends TestkernelsError {
  readonly code = 'EXAMPLE'
}

test('says entry, what, cause, remedy and output, in that order', () => {
  const error = new ExampleError({
    what: 'the kernel did not boot',
    entry: 'cgroupv1',
    remedy: 'read the console',
    cause: new Error('no signal'),
    output: 'line 1\nline 2\n',
  })
  expect(error.message).toBe(
    'cgroupv1: the kernel did not boot\n  cause: no signal\n  remedy: read the console\n  output:\n    | line 1\n    | line 2',
  )
  expect(error.name).toBe('ExampleError')
})

test('an error of ours is one for each copy of this module, and of its own class alone', async () => {
  vi.resetModules()
  const other = await import('./index.ts')
  expect(other.TestkernelsError).not.toBe(TestkernelsError)
  const error = new ExampleError({ what: 'a', remedy: 'b' })
  expect(error).toBeInstanceOf(other.TestkernelsError)
  expect(other.toReport(error)).toMatchObject({ name: 'ExampleError [EXAMPLE]' })
  expect(error).not.toBeInstanceOf(InvalidOptionError)
  expect(new Error('a')).not.toBeInstanceOf(TestkernelsError)
})

test('an error of ours is printed without a stack, another with one', () => {
  expect(formatError(new ExampleError({ what: 'a', remedy: 'b' }))).toBe(
    'error [EXAMPLE]: a\n  remedy: b\n  more: npx testkernels explain EXAMPLE',
  )
  expect(formatError(new TypeError('oops'))).toContain('oops')
  expect(formatError(new TypeError('oops'))).toContain('at ')
})

test('of what could not be ended, the reason is printed as an error of ours, where it is one', () => {
  const silent = new ExampleError({ what: 'the engine did not answer', remedy: 'restart it' })
  const failure = (cause: unknown) =>
    new AggregateError([new Error('cannot dispose box', { cause })], 'cannot dispose box')
  expect(formatError(failure(silent))).toMatch(/^error \[EXAMPLE\]: the engine did not answer\n {2}remedy: restart it/)
  expect(formatError(failure(new Error('x')))).toContain('cannot dispose box\n    at ')
})

test('an error of ours is printed as its message, without stack and without repetition', () => {
  const error = new InvalidOptionError({ what: "unknown option 'memory'", entry: 'one', remedy: 'use memoryMib' })
  expect(inspect(presentable(error))).toBe(
    "[InvalidOptionError [INVALID_OPTION]: one: unknown option 'memory'\n  remedy: use memoryMib\n  more: npx testkernels explain INVALID_OPTION]",
  )
  expect(error).toMatchObject({ code: 'INVALID_OPTION', entry: 'one', remedy: 'use memoryMib' })
})

test('the report of one has nothing but name and message', () => {
  const report = toReport(new InvalidOptionError({ what: 'wrong', remedy: 'do right' })) as Error
  expect(Object.getOwnPropertyNames(report).sort()).toEqual(['message', 'name', 'stack'])
  expect(report.stack).toBe(
    'InvalidOptionError [INVALID_OPTION]: wrong\n  remedy: do right\n  more: npx testkernels explain INVALID_OPTION',
  )
})

test("any other error keeps its stack: it is a bug's only trace", () => {
  const error = new TypeError('x is not a function')
  expect(presentable(error)).toBe(error)
  expect(toReport(error)).toBe(error)
  expect(inspect(error)).toContain('errors.test.ts')
})

test('what a guest or an engine says in an error does nothing to a terminal, in no part of it', () => {
  const evil = '\x1b[2J\x1b[H \x9b32m✓ all tests passed\u202e\r'
  const error = new ExampleError({
    what: `the VM ended: kernel panic: ${evil}`,
    entry: 'cgroupv1',
    remedy: 'read the console',
    cause: new Error(`first ${evil}`, { cause: new Error(`second ${evil}`) }),
    output: `${evil}\nnext line\n`,
  })
  const printed = inspect(error, { depth: 5 })
  for (const text of [error.message, formatError(error), `${error.output}`, printed])
    expect([...text].filter((character) => '\x1b\x9b\r\u202e'.includes(character))).toEqual([])
  expect(error.message).toContain('    | \\x1b[2J\\x1b[H \\x9b32m✓ all tests passed\\u202e\\x0d\n    | next line')
  expect(formatError(new TypeError(evil))).toContain('\\x1b[2J')
})

test('of a failure whose clean-up fails as well the first is told', async () => {
  const invalid = new InvalidOptionError({ what: 'it is not there', remedy: 'put it there' })
  const cannotEnd = () => ({ [Symbol.asyncDispose]: () => Promise.reject(new Error('cannot end')) })
  const begun = async () => {
    await using _one = cannotEnd()
    await using _another = cannotEnd()
    throw invalid
  }
  const thrown = await begun().catch((reason: unknown) => reason)
  expect(thrown).not.toBe(invalid)
  expect(firstFailure(thrown)).toBe(invalid)
  expect(formatError(thrown)).toBe(formatError(invalid))
  expect(reasonOf(thrown)).toBe(invalid.message)
  expect(titleOf(thrown)).toBe('InvalidOptionError [INVALID_OPTION]')
  expect(toReport(thrown)).toEqual(toReport(invalid))
})
