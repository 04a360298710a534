import { expect, test } from 'vitest'
import { formatError } from './format.ts'
import { TestkernelsError } from './testkernels-error.ts'

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

test('an error of ours is printed without a stack, another with one', () => {
  expect(formatError(new ExampleError({ what: 'a', remedy: 'b' }))).toBe('error [EXAMPLE]: a\n  remedy: b')
  expect(formatError(new TypeError('oops'))).toContain('oops')
  expect(formatError(new TypeError('oops'))).toContain('at ')
})
