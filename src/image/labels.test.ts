import { expect, test } from 'vitest'
import { formatVmLabels, parseVmLabels, type VmImageFacts, vmLabels } from './labels.ts'

const kernel = {
  release: '6.1.0',
  modules: 'present',
  config: { version: [6, 1], options: { MEMCG: 'y', OVERLAY_FS: 'm' } },
} as const
const labels = (facts: Omit<VmImageFacts, 'kernel'> = { init: 'testkernels' }) => ({
  ...vmLabels,
  ...formatVmLabels('key', { kernel, ...facts }),
})

test.each<Omit<VmImageFacts, 'kernel'>>([
  { init: 'testkernels' },
  { init: ['sleep', '1 000'] },
  { init: 'systemd', systemd: { version: 257, engine: 'dockerd' } },
  { init: 'systemd', systemd: { version: undefined, engine: 'containerd' } },
  { init: 'testkernels', debugInfo: true },
])('an image says what its kernel has, and with %j what it runs', (facts) => {
  expect(parseVmLabels(labels(facts))).toEqual({ kernel, ...facts })
})

test.each([
  ['has no labels', {}],
  ['is of another kind', { ...labels(), ...Object.fromEntries(Object.keys(vmLabels).map((name) => [name, 'base'])) }],
  ['says nothing of its kernel', vmLabels],
])('an image that %s is no image of a VM', (_, other) => {
  expect(parseVmLabels(other)).toBeUndefined()
})
