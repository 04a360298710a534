import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { vitest } from '../../support/run.ts'

test.each(['forks', 'threads', 'vmThreads'])('a death is a result, in the pool %s', async (pool) => {
  const args = ['--config', 'configs/good.config.ts', '--pool', pool, 'panics', 'passes']
  await using run = await vitest('vitest-faults', args, { env: { FIXTURE_TAR: fixtureTar } })
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  const { stdout, stderr } = run.program
  // Of the entry that died all, of the other none.
  expect(stdout).toMatch(/^ +Tests +\d failed \| \d passed \(6\)$/m)
  expect(stderr).toMatch(/^ FAIL +\|one\| test\/panics\.vm\.test\.ts > is under way when the kernel panics$/m)
  expect(stderr).toMatch(/^ FAIL +\|one\| test\/panics\.vm\.test\.ts > comes after the panic$/m)
  expect(stderr).not.toMatch(/FAIL +\|two\|/)
  expect(stderr).toMatch(
    /^VmDiedError \[VM_DIED\]: one: the VM ended on debian:bookworm, cgroup v1: kernel panic: sysrq triggered crash; console at \S+$/m,
  )
  expect(stdout).toContain('the next test of two was run')
  expect(stdout).not.toContain('the next test of one was run')
  expect(stdout).toContain('the clean-up was run')
  // Who writes first, a worker or who reports on it, is chance.
  const [, crashed] = /crashing at (\d+)/.exec(stdout) ?? []
  const [, failed] = /failed at (\d+)/.exec(stdout) ?? []
  console.log(`${pool}: failed ${Number(failed) - Number(crashed)} ms after the crash`)
  await run.gone()
})
