import { hostname } from 'node:os'
import { expect, test } from 'vitest'
import { newRun, runLabels } from './labels.ts'

test('each run has a name of its own, and people see whose it is', () => {
  const [first, second] = [newRun(), newRun()]
  expect(first).not.toBe(second)
  expect(runLabels(first, 'cgroupv1')).toEqual({
    'testkernels.run': first,
    'testkernels.owner': `${process.pid}@${hostname()}`,
    'testkernels.entry': 'cgroupv1',
  })
})
