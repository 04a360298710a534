import { join } from 'node:path'
import { expect, test } from 'vitest'
import { connectBuildkit, EngineGoneError, llb, SolveError } from '../../src/buildkit/index.ts'
import { startEngineRelay } from '../support/engine-relay.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, endpoint, scratchDir, unique } from './support.ts'

test('a step that fails is told by name, command, exit code and its last lines', async () => {
  await using buildkit = await connect()
  const script = `for i in $(seq 1 100); do echo "line $i"; done; printf 'no line end: ${unique()}'; exit 42`
  const run = llb.image(baseRef(), { platform }).run({ script, name: '[e2e] fail on purpose' })
  const failure = await buildkit.solve({ definition: run.definition() }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SolveError)
  const { vertex, command, exitCode, logTail, message } = failure as SolveError
  expect(vertex?.name).toBe('[e2e] fail on purpose')
  expect(command).toBe(`/bin/sh -ec ${script}`)
  expect(exitCode).toBe(42)
  expect(logTail).toHaveLength(30)
  expect(logTail.slice(-2)).toEqual(['line 100', expect.stringMatching(/^no line end: /)])
  expect(message).toMatch(/^the step "\[e2e\] fail on purpose" failed with exit code 42\n/)
  expect(message).toContain('| line 100\n')
})

test('of two steps that run at once the one that failed is blamed, not the one that was stopped', async () => {
  await using buildkit = await connect()
  const base = llb.image(baseRef(), { platform })
  const out = { mounts: [llb.output('/out')] }
  const slow = base.run({ script: `sleep 600 # ${unique()}`, name: '[e2e] slow', ...out }).mountOutput('/out')
  const bad = base.run({ script: `echo ${unique()}; exit 7`, name: '[e2e] bad', ...out }).mountOutput('/out')
  const both = llb.scratch(platform).file(llb.copy(slow, '/', '/a').copy(bad, '/', '/b'))
  await expect(buildkit.solve({ definition: both.definition() })).rejects.toMatchObject({
    vertex: { name: '[e2e] bad' },
    exitCode: 7,
  })
})

test('an image that is nowhere is told by its name, with what to do', async () => {
  await using buildkit = await connect()
  const ref = `localhost:1/absent:${unique()}`
  await expect(buildkit.solve({ definition: llb.image(ref, { platform }).definition() })).rejects.toMatchObject({
    code: 'SOLVE_FAILED',
    message: expect.stringContaining(ref),
    remedy: expect.stringContaining('load it into the engine'),
  })
})

test('a frontend that the engine lacks is told at once', async () => {
  await using buildkit = await connect()
  await expect(buildkit.solve({ frontend: 'no-such-frontend' })).rejects.toThrow(/no-such-frontend|frontend/)
})

test('when the engine goes away in the middle of a step, the solve says so', async () => {
  await using dir = await scratchDir()
  await using relay = await startEngineRelay(join(dir.path, 'engine.sock'), endpoint())
  await using buildkit = await connectBuildkit({ kind: 'docker', socketPath: relay.path })
  const run = llb.image(baseRef(), { platform }).run({ script: `echo ${unique()} started; sleep 600` })
  const solving = buildkit.solve({
    definition: run.definition(),
    onStatus: ({ logs }) => {
      if (logs.length > 0) relay.cut()
    },
  })
  const failure = await solving.catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(EngineGoneError)
  expect(failure).toMatchObject({ code: 'ENGINE_GONE' })
})

test('a socket where nothing listens is told with what to do', async () => {
  await using dir = await scratchDir()
  await expect(connectBuildkit({ kind: 'docker', socketPath: join(dir.path, 'absent.sock') })).rejects.toMatchObject({
    code: 'BUILDKIT_UNREACHABLE',
    remedy: expect.stringContaining('start'),
  })
})
