import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { kernelProjects, kernelSuite } from './config.ts'

const kernels = {
  v1: { kernel: 'debian:bookworm', cgroup: 1 },
  v2: { kernel: 'debian:trixie', cgroup: 2 },
} as const

test('one project for each entry, named after it, that asks for it alone', () => {
  const projects = kernelProjects(kernels, { include: ['test/*.vm.test.ts'] })
  expect(projects.map(({ test }) => test?.name)).toEqual(['v1', 'v2'])
  const [v1] = projects
  expect(v1?.test).toMatchObject({ include: ['test/*.vm.test.ts'], testTimeout: 120_000 })
  expect(v1?.test?.provide?.testkernelsRequest).toMatchObject({
    scope: 'project',
    rows: [{ name: 'v1', kernel: 'debian:bookworm', cgroup: 1 }],
  })
})

test('a suite asks for all entries', () => {
  const suite = kernelSuite('kernels', kernels)
  expect(suite.test?.name).toBe('kernels')
  expect(suite.test?.provide?.testkernelsRequest).toMatchObject({
    scope: 'suite',
    rows: [{ name: 'v1' }, { name: 'v2' }],
  })
})

test("the user's setups run after ours, and the user's timeouts and values stay", () => {
  const [project] = kernelProjects(
    { v1: kernels.v1 },
    { globalSetup: 'own-global.ts', setupFiles: ['own.ts'], testTimeout: 7, provide: { own: 1 } as never },
  )
  const globalSetup = project?.test?.globalSetup as string[]
  const setupFiles = project?.test?.setupFiles as string[]
  expect(globalSetup).toEqual([expect.stringContaining('/global-setup.'), 'own-global.ts'])
  expect(setupFiles).toEqual([expect.stringContaining('/setup-file.'), 'own.ts'])
  for (const ours of [globalSetup[0], setupFiles[0]]) expect(existsSync(ours ?? '')).toBe(true)
  expect(project?.test).toMatchObject({ testTimeout: 7, provide: { own: 1 } })
})

test('what a project asks for is plain data, as it goes through the configuration', () => {
  const request = kernelSuite('kernels', kernels).test?.provide?.testkernelsRequest
  expect(structuredClone(request)).toEqual(request)
})

test('a mistake is an error of the configuration', () => {
  expect(() => kernelProjects({ v1: { ...kernels.v1, memory: 2048 } as never })).toThrow("unknown option 'memory'")
  expect(() => kernelSuite('kernels', {})).toThrow('the matrix has no entry')
})
