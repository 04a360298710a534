import { expect, test } from 'vitest'
import { InvalidOptionError } from './errors.ts'
import { parseIsolation, parseKeepOnFailure, parseOnTestsRerun, parseRetryOn } from './project-options.ts'

test('what is not said is what a project has always had', () => {
  expect(parseIsolation('vm')).toBe('project')
  expect(parseOnTestsRerun('vm')).toBe('keep')
  expect(parseRetryOn('vm')).toBe('same-vm')
  expect(parseKeepOnFailure('vm')).toBe(false)
})

test('another word is refused, with the project and the choices', () => {
  expect(() => parseIsolation('vm', 'test')).toThrow(InvalidOptionError)
  expect(() => parseIsolation('vm', 'test')).toThrow(
    /project vm has isolation: "test"[\s\S]+'project' or 'worker' or 'file'/,
  )
  expect(() => parseOnTestsRerun('vm', true)).toThrow(/onTestsRerun: true[\s\S]+'keep' or 'reset'/)
})

test('VMs of failed tests are kept without a limit, or for minutes', () => {
  expect(parseKeepOnFailure('vm', true)).toBe(true)
  expect(parseKeepOnFailure('vm', { minutes: 0.5 })).toEqual({ minutes: 0.5 })
})

test.each([
  'always',
  30,
  null,
  {},
  { minutes: 0 },
  { minutes: '30' },
  { minutes: 1441 },
  { minutes: Number.NaN },
  { minutes: 1, hours: 1 },
])('keepOnFailure: %j is refused', (value) => {
  expect(() => parseKeepOnFailure('vm', value)).toThrow(InvalidOptionError)
  expect(() => parseKeepOnFailure('vm', value)).toThrow(/project vm has keepOnFailure: [\s\S]+\{ minutes: 30 \}/)
})

test('fresh VMs for retries are refused where this machine has one address of its loopback', () => {
  expect(parseRetryOn('vm', 'same-vm', [], 'darwin')).toBe('same-vm')
  expect(() => parseRetryOn('vm', 'fresh-vm', [], 'darwin')).toThrow(InvalidOptionError)
  expect(() => parseRetryOn('vm', 'fresh-vm', [], 'darwin')).toThrow(
    /project vm has retryOn: 'fresh-vm', and this machine is not Linux[\s\S]+leave retryOn out/,
  )
})

test('fresh VMs for retries are refused where a forward has a port of this machine, which one VM can have', () => {
  const row = (host?: number) => ({ name: 'v1', forwards: [{ guest: 5432, ...(host !== undefined && { host }) }] })
  expect(parseRetryOn('vm', 'fresh-vm', [row()], 'linux')).toBe('fresh-vm')
  expect(parseRetryOn('vm', 'same-vm', [row(5432)])).toBe('same-vm')
  expect(() => parseRetryOn('vm', 'fresh-vm', [row(), row(5432)], 'linux')).toThrow(
    /project vm has retryOn: 'fresh-vm', and a forward of v1 names a port of this machine/,
  )
})

test.each(['worker', 'file'])('VMs of each %s are refused where a forward has a port of this machine', (isolation) => {
  const rows = [{ name: 'v1', forwards: [{ guest: 5432, host: 5432 }] }]
  expect(parseIsolation('vm', isolation, [{ name: 'v1', forwards: [{ guest: 5432 }] }])).toBe(isolation)
  expect(parseIsolation('vm', 'project', rows)).toBe('project')
  expect(() => parseIsolation('vm', isolation, rows)).toThrow(
    `project vm has isolation: '${isolation}', and a forward of v1 names a port of this machine`,
  )
})
