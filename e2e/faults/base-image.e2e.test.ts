import { expect, test } from 'vitest'
import { canIsolate, NOWHERE, startIsolatedEngine } from '../support/isolated-engine.ts'
import { testkernels } from '../support/run.ts'

test.runIf(canIsolate)('without a base image, a registry and a Debian archive, the error tells all three', async () => {
  await using engine = await startIsolatedEngine()
  const env = { DOCKER_HOST: engine.dockerHost, TESTKERNELS_DEBIAN_MIRROR: `${NOWHERE}/debian` }
  await using run = await testkernels(['build'], { env })
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  const { stdout, stderr } = run.program
  expect(stdout).toBe('')
  expect(stderr).toMatch(
    /^error \[BASE_IMAGE_UNAVAILABLE\]: there is no base image of Debian \w+; three ways were tried$/m,
  )
  expect(stderr).toMatch(/^ {2}remedy: /m)
  for (const way of ["engine's store", 'pull', 'bootstrap'])
    expect(stderr).toMatch(new RegExp(`^ {4}\\| ${way}: `, 'm'))
  expect(stderr).not.toMatch(/^ {4}at /m)
})
