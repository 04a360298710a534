// Modes of Jest that need no VM: there is no engine, and nothing asks for one.
import { expect, test } from 'vitest'
import { jest } from '../support/jest.ts'

const env = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' }

test.each([
  { args: ['--listTests'], says: 'test/docker.vm.test.cjs' },
  { args: ['--showConfig'], says: '"name": "bookworm-cgroupv1"' },
  { args: ['--findRelatedTests', 'jest.config.cjs', '--passWithNoTests'], says: 'No tests found, exiting with code 0' },
  { args: ['--onlyChanged', '--lastCommit', '--listTests'], says: '' },
  { args: ['no-such-file', '--passWithNoTests'], says: 'No tests found, exiting with code 0' },
  // The one file without a VM is in it alone.
  { args: ['plain', '--shard', '1/1'], says: 'Tests:       1 passed, 1 total', EXPECTED_DOCKER_HOST: env.DOCKER_HOST },
])('jest $args', async ({ args, says, ...more }) => {
  await using run = await jest('jest-demo', args, { env: { ...env, ...more } })
  const exit = await run.program.exit
  expect(exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout + run.program.stderr).toContain(says)
  expect(run.booted).toEqual([])
})
