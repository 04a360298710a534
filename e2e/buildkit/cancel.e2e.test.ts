import { expect, test } from 'vitest'
import { llb, SolveCancelledError } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, onceLogged, oneAtATime, unique } from './support.ts'

test('an abort ends the step that runs on the engine', async () => {
  await using buildkit = await connect()
  const holding = oneAtATime()
  const controller = new AbortController()
  const whenHolding = onceLogged('holding', () => controller.abort(new Error('Ctrl-C')))
  const ended: string[] = []
  const running = buildkit.solve({
    definition: holding('echo holding; sleep 600; echo slept'),
    signal: controller.signal,
    onStatus: (status) => {
      whenHolding(status)
      for (const { error } of status.vertexes) if (error !== undefined) ended.push(error)
    },
  })
  const failure = await running.catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(SolveCancelledError)
  expect(failure).toMatchObject({ code: 'SOLVE_CANCELLED', message: expect.stringContaining('Ctrl-C') })
  expect(ended.join('\n')).toContain('context canceled')
  await buildkit.solve({ definition: holding('echo had it'), signal: AbortSignal.timeout(50_000) })
})

test('a signal that aborted before starts nothing', async () => {
  await using buildkit = await connect()
  let heard = 0
  const solving = buildkit.solve({
    definition: llb.scratch(platform).file(llb.mkfile('/x', unique())).definition(),
    signal: AbortSignal.abort(new Error('too late')),
    onStatus: () => {
      heard += 1
    },
  })
  await expect(solving).rejects.toThrow(SolveCancelledError)
  expect(heard).toBe(0)
})

test('one of two solves that share a step is cancelled, and the other gets its result', async () => {
  await using buildkit = await connect()
  const mark = unique()
  // The step ends when the second solve waits for it: it says so through a cache mount.
  const mounts = [llb.cache('/signal', { id: `shared-${mark}` })]
  const base = llb.image(baseRef(), { platform })
  const shared = base.run({
    script: `echo started; until test -e /signal/go; do sleep 0.05; done`,
    mounts,
    name: `[e2e] ${mark}`,
  })
  const controller = new AbortController()
  const second: { solve?: Promise<unknown> } = {}
  const first = buildkit.solve({
    definition: shared.definition(),
    signal: controller.signal,
    onStatus: onceLogged('started', () => {
      second.solve ??= buildkit.solve({
        definition: shared.definition(),
        // The engine tells a solve of the steps it waits for.
        onStatus: ({ vertexes }) => {
          if (vertexes.some(({ name }) => name.includes(mark))) controller.abort(new Error('not needed'))
        },
      })
    }),
  })
  await expect(first).rejects.toThrow(SolveCancelledError)
  await buildkit.solve({ definition: base.run({ script: 'touch /signal/go', mounts }).definition() })
  await second.solve
})
