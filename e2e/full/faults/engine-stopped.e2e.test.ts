// An engine that stops while a command runs on a VM: it takes every connection, and answers nothing.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { canIsolate, type IsolatedEngine, loadImagesInto, startIsolatedEngine } from '../../support/isolated-engine.ts'
import { testkernels } from '../../support/run.ts'
import { vmImageNames } from '../../support/templates.ts'

/** A cold boot, and a minute or two until the engine is given up. */
const RUN_MS = 600_000
const SET_UP_MS = 300_000

let engine: IsolatedEngine

beforeAll(async () => {
  if (!canIsolate) return
  engine = await startIsolatedEngine({ storageDriver: 'overlay2' })
  await loadImagesInto(engine, await vmImageNames())
}, SET_UP_MS)

afterAll(async () => await engine?.[Symbol.asyncDispose]())

test.runIf(canIsolate)(
  'a command that ends then is the end of the run, which says why it could not end the VM',
  {
    timeout: RUN_MS,
  },
  async () => {
    await using run = await testkernels(
      ['run', '--kernel', 'debian:bookworm', '--no-template', '--', 'sh', '-c', 'echo up; cat'],
      { env: { DOCKER_HOST: engine.dockerHost } },
    )
    await run.program.printed('stdout', /^up$/m)
    process.kill(engine.pid, 'SIGSTOP')
    try {
      run.program.input('')
      expect(await run.program.exit, run.program.stderr).toEqual({ code: 125, signal: null })
      expect(run.program.stderr).toMatch(/still ending the VM\n *waiting for the Docker engine to answer /)
      expect(run.program.stderr).toMatch(/ENGINE_SILENT|did not answer/)
    } finally {
      process.kill(engine.pid, 'SIGCONT')
    }
  },
)
