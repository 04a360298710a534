// Jest as users start it, in a project that has our projects in its configuration.
import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { jest } from '../support/jest.ts'

test('one project in band: only its VM boots, and child processes of its tests have its dockerd', async ({
  annotate,
}) => {
  await using run = await jest('jest-demo', ['--selectProjects', 'bookworm-cgroupv1', 'plain', '--runInBand'])
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Tests: +3 passed, 3 total$/m)
  expect(run.program.stdout + run.program.stderr).toContain('docker info: 1 bookworm-cgroupv1')
  expect(run.booted).toEqual(['bookworm-cgroupv1'])
  await annotate(`nothing left after ${await run.gone()} ms`)
  expect(await readdir(run.runDirectory)).toEqual([])
})

test('no engine is told by each test file, and the projects without a VM go on', async () => {
  const env = {
    DOCKER_HOST: 'unix:///nonexistent/docker.sock',
    EXPECTED_DOCKER_HOST: 'unix:///nonexistent/docker.sock',
  }
  await using run = await jest('jest-demo', [], { env })
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  expect(run.program.stderr).toMatch(/^Test Suites: 5 failed, 1 passed, 6 total$/m)
  expect(run.program.stderr.match(/\[ENGINE_UNREACHABLE\]: no Docker engine answers/g)).toHaveLength(5)
  expect(run.program.stderr).not.toMatch(/^ +at /m)
  expect(await readdir(run.runDirectory)).toEqual([])
})

test.each([
  { config: 'unknown-key', says: "[INVALID_OPTION]: one: unknown option 'memory'" },
  { config: 'global-setup', says: '[INVALID_OPTION]: project one has a globalSetup of its own' },
])('a configuration with $config is an error, and nothing starts', async ({ config, says }) => {
  await using run = await jest('jest-faults', ['--config', `configs/${config}.config.cjs`])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  expect(run.program.stderr).toContain(says)
  expect(run.booted).toEqual([])
})
