// Directories of this machine where the process that serves them is Jest's own, in which a single test file runs as well.
import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { jest } from '../../support/jest.ts'

test('a container of a test has the project where it is here', async () => {
  await using run = await jest('jest-mounts', [], { env: { FIXTURE_TAR: fixtureTar } })
  const { code } = await run.program.exit
  expect(code, run.program.stderr).toBe(0)
  expect(run.program.stderr).toMatch(/^Tests: +1 passed, 1 total$/m)
  await run.gone()
})
