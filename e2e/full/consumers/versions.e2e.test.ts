// Other versions of the test runners than the one that this repository has, in projects of their own.
import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { Consumer } from './consumer.ts'

test('Jest 29, in CommonJS and ES modules', async () => {
  await using consumer = await Consumer.install('jest-demo', ['jest@29.7.0', 'testcontainers@11.14.0'])
  const env = { NODE_OPTIONS: '--experimental-vm-modules' }
  await using run = await consumer.run('jest/bin/jest.js', ['--maxWorkers', '2'], { env })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Test Suites: 7 passed, 7 total$/m)
  expect(run.booted).toEqual(['bookworm-cgroupv1', 'bookworm-cgroupv2'])
  await run.gone()
})

test.each([
  { vitest: '3.2.7', packages: [], node: process.execPath },
  // Needs Node 22.
  { vitest: '5.1.1', packages: ['node@22'], node: 'node/bin/node' },
])('Vitest $vitest: selection, environment and the death of a VM', async ({ vitest, packages, node }) => {
  await using consumer = await Consumer.install('vitest-faults', [`vitest@${vitest}`, ...packages])
  const args = ['run', '--config', 'configs/good.config.ts', '--project', 'one', 'panics', 'passes']
  await using run = await consumer.run('vitest/vitest.mjs', args, { node, env: { FIXTURE_TAR: fixtureTar } })
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  const { stdout, stderr } = run.program
  expect(run.booted).toEqual(['one'])
  expect(stdout + stderr).toContain('is under way when the kernel panics')
  expect(stdout + stderr).toMatch(
    /one: the VM ended on debian:bookworm, cgroup v1: kernel panic: sysrq triggered crash/,
  )
  expect(stdout).not.toContain('the next test of one was run')
  await run.gone()
})
