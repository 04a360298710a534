import { expect, test } from 'vitest'
import { parseKernelEntry } from '../options/index.ts'
import { isListing, unstarted } from './listing.ts'

test('tells `vitest list` from a run, also of tests that are called so', () => {
  expect(isListing(['node', 'vitest.mjs', 'list', '--json'])).toBe(true)
  expect(isListing(['node', 'vitest.mjs', 'run', 'list'])).toBe(false)
  expect(isListing(['node', 'vitest.mjs'])).toBe(false)
})

test('a VM that is only named sends no client to the engine of this machine', () => {
  const kernel = unstarted(parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 }))
  expect(kernel).toMatchObject({ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 })
  expect(kernel.environment['DOCKER_HOST']).toBe(kernel.dockerHost)
  expect(kernel.dockerHost).toContain('/nonexistent/')
})
