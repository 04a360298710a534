// Modes of Vitest in which tests run, on VMs; those that need none are in e2e/vitest.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Run, vitest } from '../../support/run.ts'

const one = ['--config', 'configs/good.config.ts', '--project', 'one']
const fixture = join(import.meta.dirname, '../../../fixtures/vitest-faults')

test.each([
  { args: ['run', 'modes', 'passes'], says: /Tests +7 passed/ },
  { args: ['run', 'modes', 'passes', '--sequence.shuffle', '--no-isolate'], says: /Tests +7 passed/ },
  { args: ['run', 'fails', '--retry', '1', '--bail', '1'], says: /Tests +1 failed/, code: 1 },
  { args: ['related', 'test/passes.vm.test.ts', '--run'], says: /Tests +1 passed/ },
  { args: ['bench', '--run'], says: /ping .*\d/ },
])('vitest $args', async ({ args: [command = '', ...args], says, code = 0 }) => {
  await using run = await vitest('vitest-faults', [...args, ...one], { command })
  const exit = await run.program.exit
  const output = run.program.stdout + run.program.stderr
  expect(exit, output).toEqual({ code, signal: null })
  expect(output).toMatch(says)
  expect(run.booted).toEqual(['one'])
  await run.gone()
})

test('an editor lists tests and starts the VM when it is to run them', async () => {
  const argv = [process.execPath, 'editor.mjs', 'passes', 'list', 'run', 'list', 'run']
  await using run = await Run.start(argv, { cwd: fixture, env: { NO_COLOR: '1' } })
  expect(await run.program.exit, run.program.stdout + run.program.stderr).toEqual({ code: 0, signal: null })
  const steps = run.program.stdout.match(/^(?:list|run): passes: .*$/gm)
  expect(steps?.filter((step) => step === 'run: passes: passed')).toHaveLength(2)
  expect(steps).toHaveLength(4)
  expect(run.booted).toEqual(['one'])
  await run.gone()
})
