// Directories of this machine where the process that serves them is Jest's own, in which a single test file runs as well.
import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { jest } from '../../support/jest.ts'

const env = { FIXTURE_TAR: fixtureTar }

test('a container of a test has the project where it is here', async () => {
  await using run = await jest('jest-mounts', ['mounts.test.cjs'], { env })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Tests: +1 passed, 1 total$/m)
  await run.gone()
})

test('so have containers of workers, which may wait for them', async () => {
  // Without a cache it does not know that the files are quick ones, which it has no workers for.
  await using run = await jest('jest-mounts', ['--maxWorkers', '2', '--no-cache'], { env })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Tests: +2 passed, 2 total$/m)
  expect(run.program.stdout + run.program.stderr).toContain(`served to a worker of ${run.program.pid}`)
  await run.gone()
})
