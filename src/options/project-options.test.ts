import { expect, test } from 'vitest'
import { InvalidOptionError } from './errors.ts'
import { parseIsolation, parseOnTestsRerun } from './project-options.ts'

test('what is not said is what a project has always had', () => {
  expect(parseIsolation('vm')).toBe('project')
  expect(parseOnTestsRerun('vm')).toBe('keep')
})

test('another word is refused, with the project and the choices', () => {
  expect(() => parseIsolation('vm', 'test')).toThrow(InvalidOptionError)
  expect(() => parseIsolation('vm', 'test')).toThrow(
    /project vm has isolation: "test"[\s\S]+'project' or 'worker' or 'file'/,
  )
  expect(() => parseOnTestsRerun('vm', true)).toThrow(/onTestsRerun: true[\s\S]+'keep' or 'reset'/)
})
