import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from 'jest'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { kernelMatrix } from '../options/index.ts'
import { type KernelProjectOptions, kernelProjects, kernelSuite } from './config.ts'

const kernels = kernelMatrix({ kernel: 'debian:bookworm', cgroup: [1, 2] })
let cacheDirectory = ''

beforeEach(async () => {
  cacheDirectory = await mkdtemp(join(tmpdir(), 'tk-jest-'))
  vi.stubEnv('TESTKERNELS_CACHE_DIR', cacheDirectory)
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(cacheDirectory, { recursive: true })
})

test('one project for each entry, named after it, each with files of its own', () => {
  const projects = kernelProjects(kernels, { testMatch: ['<rootDir>/test/*.js'] })
  const config: Config = { projects }
  expect(config.projects).toHaveLength(2)
  expect(projects.map(({ displayName }) => displayName)).toEqual(['bookworm-cgroupv1', 'bookworm-cgroupv2'])
  const files = projects.flatMap(({ globalSetup, globalTeardown, testEnvironment, setupFiles = [] }) => [
    globalSetup,
    globalTeardown,
    testEnvironment,
    ...setupFiles,
  ])
  expect(new Set(files).size).toBe(8)
  for (const file of files) expect(existsSync(file ?? ''), file ?? 'no file').toBe(true)
  expect(projects[0]).toMatchObject({ testMatch: ['<rootDir>/test/*.js'] })
})

test('its files pass on what the project asks for, and find the environment that it builds on', () => {
  const [project] = kernelProjects(kernels, { testTimeout: 7 })
  expect(readFileSync(project?.globalSetup ?? '', 'utf8')).toContain('"name":"bookworm-cgroupv1"')
  const environment = readFileSync(project?.testEnvironment ?? '', 'utf8')
  expect(environment).toContain('"testTimeoutMs":7')
  expect(environment).toMatch(/jest-environment-node\/build\/index\.js/)
})

test('the same project has the same files, and another has others', () => {
  const setup = (memoryMib: number) => kernelSuite('all', { v2: { kernel: 'debian:trixie', memoryMib } }).globalSetup
  expect(setup(1024)).toBe(setup(1024))
  expect(setup(1024)).not.toBe(setup(2048))
})

test("the user's setup files run when the VM is there", () => {
  const suite = kernelSuite('all', kernels, { setupFiles: ['a.js'], setupFilesAfterEnv: ['b.js'] })
  expect(suite.setupFilesAfterEnv).toEqual(['a.js', 'b.js'])
  expect(suite.setupFiles).toEqual([expect.stringContaining(cacheDirectory)])
})

test.each([
  [{ globalSetup: 'own.js' }, 'project all has a globalSetup of its own'],
  [{ testEnvironment: 'moon' }, "there is no test environment 'moon'"],
])('refuses %j', (options, message) => {
  expect(() => kernelSuite('all', kernels, options as KernelProjectOptions)).toThrow(message)
})

test('a mistake in the matrix is an error of the configuration', () => {
  expect(() => kernelProjects({ v1: { kernel: 'debian:trixie', memory: 2048 } as never })).toThrow(
    "unknown option 'memory'",
  )
})
