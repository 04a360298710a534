// Modes of Vitest that need no VM: there is no engine, and nothing asks for one. Those that need some are in e2e/full/vitest.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Run, vitest } from '../support/run.ts'

const env = { DOCKER_HOST: 'unix:///nonexistent/docker.sock', NO_COLOR: '1' }
const good = ['--config', 'configs/good.config.ts']
const fixture = join(import.meta.dirname, '../../fixtures/vitest-faults')

test.each([
  { mode: ['--config', 'configs/good.config.ts', 'list', 'passes'], says: '[two] test/passes.vm.test.ts > passes' },
  { mode: ['--project', 'two', 'list', 'passes', ...good], says: '[two] test/passes.vm.test.ts > passes' },
  { mode: ['list', '--filesOnly', ...good], says: '[two] test/passes.vm.test.ts' },
  { mode: ['list', '--static-parse', 'passes', ...good], says: '[two] test/passes.vm.test.ts > passes' },
  { mode: ['list', '--config', 'configs/setups.config.ts'], says: '[one] test/passes.vm.test.ts > passes' },
  { mode: ['related', 'configs/nothing.ts', '--run', '--passWithNoTests', ...good], says: 'No test files found' },
  { mode: ['run', '--passWithNoTests', 'no-such-file', ...good], says: 'No test files found' },
  { mode: ['run', '--config', 'configs/types.config.ts'], says: 'Type Errors  no errors' },
])('vitest $mode', async ({ mode: [command = '', ...args], says }) => {
  await using run = await vitest('vitest-faults', args, { command, env })
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout + run.program.stderr).toContain(says)
  expect(run.booted).toEqual([])
})

test('an editor that lists tests', async () => {
  await using run = await Run.start([process.execPath, 'editor.mjs', 'passes', 'list'], { cwd: fixture, env })
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toContain('list: passes: pending')
  expect(run.booted).toEqual([])
})
