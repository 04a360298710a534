import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createVitest } from 'vitest/node'
import { type KernelProjectOptions, kernelProjects, kernelSuite } from './config.ts'

const kernels = {
  v1: { kernel: 'debian:bookworm', cgroup: 1 },
  v2: { kernel: 'debian:trixie', cgroup: 2 },
} as const

test('one project for each entry, named after it, that asks for it alone', () => {
  const projects = kernelProjects(kernels, { include: ['test/*.vm.test.ts'] })
  expect(projects.map(({ test }) => test?.name)).toEqual(['v1', 'v2'])
  expect(projects.map(({ test }) => test?.provide?.testkernelsRequest?.place)).toEqual([0, 1])
  const [v1] = projects
  expect(v1?.test).toMatchObject({ include: ['test/*.vm.test.ts'] })
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
    { setupFiles: ['own.ts'], testTimeout: 7, provide: { own: 1 } as never },
  )
  const setupFiles = project?.test?.setupFiles as string[]
  expect(setupFiles).toEqual([expect.stringContaining('/setup-file.'), 'own.ts'])
  expect(existsSync(setupFiles[0] ?? '')).toBe(true)
  expect(project?.test).toMatchObject({ testTimeout: 7, provide: { own: 1 } })
})

test('global setups of the user are called by ours where there is one VM, and else by Vitest', () => {
  const options = { globalSetup: 'own-global.ts' }
  const setups = ({ test }: ReturnType<typeof kernelSuite>) => ({
    vitests: test?.globalSetup,
    ours: test?.provide?.testkernelsRequest?.globalSetup,
  })
  const our = expect.stringMatching(/\/global-setup\.[jt]s$/)
  const both = { vitests: [our, 'own-global.ts'], ours: [] }
  const [one] = kernelProjects({ v1: kernels.v1 }, options)
  expect(one && setups(one)).toEqual({ vitests: [our], ours: ['own-global.ts'] })
  const [many] = kernelProjects({ v1: kernels.v1 }, { ...options, isolation: 'file' })
  expect(many && setups(many)).toEqual(both)
  expect(setups(kernelSuite('kernels', kernels, options))).toEqual(both)
})

test('what a project asks for is plain data, as it goes through the configuration', () => {
  const request = kernelSuite('kernels', kernels).test?.provide?.testkernelsRequest
  expect(structuredClone(request)).toEqual(request)
})

test('a mistake is an error of the configuration', () => {
  expect(() => kernelProjects({ v1: { ...kernels.v1, memory: 2048 } as never })).toThrow("unknown option 'memory'")
  expect(() => kernelSuite('kernels', {})).toThrow('the matrix has no entry')
})

/** What a project gets that has this in the configuration that it extends, and these options. */
async function resolved(
  extended: Record<string, unknown>,
  { mode = 'test', ...options }: KernelProjectOptions & { mode?: 'test' | 'benchmark' } = {},
) {
  const root = mkdtempSync(join(tmpdir(), 'tk-config-'))
  try {
    const config = join(root, 'vitest.config.mjs')
    writeFileSync(config, `export default { test: ${JSON.stringify(extended)} }`)
    const projects = kernelProjects({ v1: kernels.v1 }, options)
    const vitest = await createVitest(mode, { config, root, watch: false, projects })
    const [project] = vitest.projects
    await vitest.close()
    return project?.config
  } finally {
    rmSync(root, { recursive: true })
  }
}

test('our defaults hold where nobody said anything', async () => {
  const config = await resolved({})
  expect(config).toMatchObject({ testTimeout: 120_000, hookTimeout: 120_000 })
  expect(config?.runner).toMatch(/\/runner\.[jt]s$/)
})

test('what the configuration says that a project extends goes before our defaults, and what the project says before both', async () => {
  const said = { testTimeout: 1000, hookTimeout: 600_000, runner: './own-runner.ts' }
  expect(await resolved(said)).toMatchObject({ ...said, runner: expect.stringMatching(/own-runner\.ts$/) })
  expect(await resolved(said, { testTimeout: 7 })).toMatchObject({ testTimeout: 7, hookTimeout: 600_000 })
})

test("benchmarks have Vitest's own runner", async () => {
  expect((await resolved({}, { mode: 'benchmark' }))?.runner).toBeUndefined()
})
