import { expect, test } from 'vitest'
import { neededBy } from './needed.ts'

const kernels = [{ name: 'v1' }, { name: 'v1-cgroupv2' }, { name: '6.12' }]
const needed = (fullName: string, scope: 'project' | 'suite' = 'suite') =>
  neededBy(fullName, { scope, kernels }).map(({ name }) => name)

test('a test of a project needs its VM, whatever it is called', () => {
  expect(needed('anything', 'project')).toHaveLength(3)
})

test('a test of a suite needs the VMs that its name has as words', () => {
  expect(needed('on v1 > starts')).toEqual(['v1'])
  expect(needed('on v1-cgroupv2 > starts')).toEqual(['v1-cgroupv2'])
  expect(needed('v1, then v1-cgroupv2.')).toEqual(['v1', 'v1-cgroupv2'])
  expect(needed('on 6.12')).toEqual(['6.12'])
  expect(needed('on 6.12.3, 6x12 and v10')).toEqual([])
})
