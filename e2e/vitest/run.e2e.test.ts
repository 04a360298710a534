// Vitest as users start it, in a project that has our plugin in its configuration.
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { vitest } from '../support/run.ts'

const good = ['--config', 'configs/good.config.ts']

test('only the chosen project boots, and a failing test fails the run and leaves nothing', async ({ annotate }) => {
  await using run = await vitest('vitest-faults', [...good, '--project', 'one', 'passes', 'fails'])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  expect(run.program.stdout).toMatch(/Tests +1 failed \| 1 passed/)
  expect(run.booted).toEqual(['one'])
  await annotate(`nothing left after ${await run.gone()} ms`)
  expect(await readdir(run.runDirectory)).toEqual([])
  const [, logs = ''] = /^testkernels consoles and kernel logs of this run: (.+)$/m.exec(run.program.stdout) ?? []
  expect((await readdir(logs)).sort()).toEqual(['one.console.log', 'one.dmesg.log'])
  expect(await readFile(join(logs, 'one.dmesg.log'), 'utf8')).toContain('Linux version 6.1')
})

test.each(['SIGINT', 'SIGKILL'] as const)('%s in the middle of a test leaves nothing', async (signal) => {
  await using run = await vitest('vitest-faults', [...good, '--project', 'one', 'waits'])
  const [, socket] = await run.program.printed('stdout', /waiting with unix:\/\/(.+)$/m)
  expect(socket).toContain(run.runDirectory)
  const qemus = await run.qemus()
  run.program.kill(signal)
  const ms = await run.gone(qemus)
  console.log(`nothing left ${ms} ms after ${signal}`)
  await run.program.exit
})

test("a global setup that two projects have in common, and its teardown, reach the VM of each, with Testcontainers' networks", async () => {
  await using run = await vitest('vitest-faults', ['--config', 'configs/setups.config.ts'])
  expect(await run.program.exit, run.program.stdout + run.program.stderr).toEqual({ code: 0, signal: null })
  for (const name of ['one', 'two']) {
    expect(run.program.stdout).toContain(`set up on ${name} for ${name}, with its network: true\n`)
    expect(run.program.stdout).toContain(`torn down on ${name}, with its network: true\n`)
  }
  await run.gone()
})

test('list names every test, in its project, and boots nothing', async () => {
  await using run = await vitest('vitest-demo', ['--json'], { command: 'list' })
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  const listed = JSON.parse(run.program.stdout) as { name: string; projectName: string }[]
  expect(listed.map(({ projectName }) => projectName).sort()).toEqual([
    ...['cgroupv1', 'cgroupv1', 'cgroupv2', 'cgroupv2'],
    ...['kernels', 'kernels'],
  ])
  expect(listed.map(({ name }) => name)).toContain("on 'cgroupv1' > dockerd says the cgroup version that was asked for")
  expect(run.booted).toEqual([])
})

test('in vm contexts, which lack some of what Node has', async () => {
  const args = [...good, '--project', 'one', '--pool', 'vmThreads', 'passes']
  await using run = await vitest('vitest-faults', args)
  const { code } = await run.program.exit
  expect(code, run.program.stdout + run.program.stderr).toBe(0)
  await run.gone()
})
