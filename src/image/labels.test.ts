import { expect, test } from 'vitest'
import { formatVmLabels, parseVmLabels, vmLabels } from './labels.ts'

const kernel = {
  release: '6.1.0',
  modules: 'present',
  config: { version: [6, 1], options: { MEMCG: 'y', OVERLAY_FS: 'm' } },
} as const
const labels = (init?: readonly string[]) => ({ ...vmLabels, ...formatVmLabels('key', { kernel, init }) })

test.each([{ init: undefined }, { init: ['sleep', '1 000'] }])(
  'an image says what its kernel has, and with %j what it runs',
  ({ init }) => {
    expect(parseVmLabels(labels(init))).toEqual({ kernel, init })
  },
)

test.each([
  ['has no labels', {}],
  ['is of another kind', { ...labels(), ...Object.fromEntries(Object.keys(vmLabels).map((name) => [name, 'base'])) }],
  ['says nothing of its kernel', vmLabels],
])('an image that %s is no image of a VM', (_, other) => {
  expect(parseVmLabels(other)).toBeUndefined()
})
