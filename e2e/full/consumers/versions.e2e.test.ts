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

test('Jest 30, from the package', async () => {
  await using consumer = await Consumer.install('jest-demo', ['jest@30', 'jest-junit@17', 'testcontainers@11.14.0'])
  const env = { NODE_OPTIONS: '--experimental-vm-modules', JEST_JUNIT_SUITE_NAME: '{displayName} {filepath}' }
  await using run = await consumer.run('jest/bin/jest.js', ['--reporters', 'default', '--reporters', 'jest-junit'], {
    env,
  })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Test Suites: 7 passed, 7 total$/m)
  const report = await consumer.read('junit.xml')
  expect(report).toContain('<testsuite name="bookworm-cgroupv1 test/docker.vm.test.cjs"')
  await run.gone()
})

test.each([
  { vitest: '3.2.7', packages: ['testcontainers@11.14.0'], node: process.execPath },
  { vitest: '4.1.12', packages: ['testcontainers@11.14.0'], node: process.execPath },
  // Both need Node 22.
  { vitest: '5.1.1', packages: ['testcontainers@12', 'node@22'], node: 'node/bin/node' },
])('Vitest $vitest: Testcontainers in projects and in a suite, and JUnit', async ({ vitest, packages, node }) => {
  await using consumer = await Consumer.install('vitest-containers', [`vitest@${vitest}`, ...packages])
  const args = ['run', '--reporter=default', '--reporter=testkernels/vitest/junit', '--outputFile.junit=junit.xml']
  await using run = await consumer.run('vitest/vitest.mjs', args, { node, env: { FIXTURE_TAR: fixtureTar } })
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toMatch(/^ +Tests +4 passed \(4\)$/m)
  expect(run.booted).toEqual(['cgroupv1', 'cgroupv2'])
  const report = await consumer.read('junit.xml')
  expect(report).toContain('<testsuite name="[cgroupv2] test/plain.vm.test.ts"')
  expect(report).toContain('classname="[kernels] test/copies.matrix.test.ts"')
  await run.gone()
})

test('a monorepo with coverage: projects of packages and of the root, each entry booted once', async () => {
  const packages = ['vitest@4.1.12', '@vitest/coverage-v8@4.1.12']
  await using consumer = await Consumer.install('vitest-monorepo', packages)
  await using run = await consumer.run('vitest/vitest.mjs', ['run', '--coverage'])
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toMatch(/^ +Tests +4 passed \(4\)$/m)
  expect(run.program.stdout).toMatch(/^ *info-arguments\.ts +\| +100 \|/m)
  expect(run.booted).toEqual(['cgroupv1', 'cgroupv2'])
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
