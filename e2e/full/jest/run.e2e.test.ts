import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { jest } from '../../support/jest.ts'

const both = ['bookworm-cgroupv1', 'bookworm-cgroupv2']
const good = ['--config', 'configs/good.config.cjs']

test('all projects with workers, in CommonJS and ES modules: each VM boots once, for projects and suite', async ({
  annotate,
}) => {
  const env = { NODE_OPTIONS: '--experimental-vm-modules' }
  await using run = await jest('jest-demo', ['--maxWorkers', '2'], { env })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Test Suites: 7 passed, 7 total$/m)
  expect(run.booted).toEqual(both)
  await annotate(`nothing left after ${await run.gone()} ms`)
})

test('a suite alone in worker threads', async () => {
  await using run = await jest('jest-demo', ['--selectProjects', 'kernels', '--workerThreads', '--maxWorkers', '2'])
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Tests: +5 passed, 5 total$/m)
  expect(run.booted).toEqual(both)
  await run.gone()
})

test('a death is a result: the test fails with the reason, the next one at once, the other entry goes on', async ({
  annotate,
}) => {
  await using run = await jest('jest-faults', [...good, 'panics'], { env: { FIXTURE_TAR: fixtureTar } })
  const { code } = await run.program.exit
  expect(code).toBe(1)
  const { stdout, stderr } = run.program
  expect(stderr).toMatch(/^Tests: +2 failed, 2 passed, 4 total$/m)
  const reason =
    /VmDiedError \[VM_DIED\]: one: the VM ended on debian:bookworm, cgroup v1: kernel panic: sysrq triggered crash/g
  expect(stderr.match(reason)?.length).toBeGreaterThanOrEqual(2)
  expect(stdout).toContain('the next test of two was run')
  expect(stdout).not.toContain('the next test of one was run')
  const [, crashed, cleaned] = /crashing at (\d+)[\s\S]*the clean-up was run at (\d+)/.exec(stdout) ?? []
  expect(cleaned, stdout).toBeDefined()
  await annotate(`both tests had failed ${Number(cleaned) - Number(crashed)} ms after the crash`)
  await run.gone()
})

test('annotations of GitHub Actions carry the name of the entry; a reporter that does nothing meanwhile ends no run early', async () => {
  const args = [...good, '--reporters', 'testkernels/jest/github-actions']
  await using run = await jest('jest-faults', ['fails', ...args], { env: { GITHUB_ACTIONS: 'true' } })
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  for (const entry of ['one', 'two']) {
    expect(run.program.stderr).toMatch(
      new RegExp(`^::error file=.*fails\\.vm\\.test\\.cjs,line=\\d+,title=\\[${entry}\\] › fails::`, 'm'),
    )
  }
  await run.gone()
})

test('watch keeps its VMs for the next run, and q ends them', async () => {
  const args = ['--selectProjects', 'bookworm-cgroupv1', '--watchAll']
  // In CI there is nobody to press keys, thinks Jest.
  await using run = await jest('jest-demo', args, { terminal: true, env: { CI: 'false' } })
  // Jest is colourful on a terminal, whatever NO_COLOR says.
  const ranOnce = /Tests: +\S*2 passed[\s\S]+Watch Usage/
  await run.program.printed('stdout', ranOnce)
  const qemus = await run.qemus()
  run.program.type('\r')
  await run.program.printed('stdout', new RegExp(`${ranOnce.source}[\\s\\S]+${ranOnce.source}`))
  expect(run.program.stdout.match(/\[bookworm-cgroupv1\] starting /g)).toHaveLength(1)
  run.program.type('q')
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  await run.gone(qemus)
})

test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('%s in the middle of a test leaves nothing', async (signal) => {
  await using run = await jest('jest-faults', [...good, '--selectProjects', 'one', '--runInBand', 'waits'])
  await run.program.printed('stdout', /^waiting with unix:.+$/m)
  const qemus = await run.qemus()
  run.program.kill(signal)
  const ms = await run.gone(qemus)
  console.log(`nothing left ${ms} ms after ${signal}`)
  await run.program.exit
})
