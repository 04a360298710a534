import { expect, test } from 'vitest'
import { type Buildkit, llb } from '../../src/buildkit/index.ts'
import { pruneBuildCache } from '../../src/image/index.ts'
import { markOurs } from '../../src/image/recipes/ingredient.ts'
import { baseRef, connect, unique } from '../buildkit/support.ts'
import { platform } from '../support/platform.ts'

test('gives back what our steps left, cache mounts included, and nothing of a step of the user', async () => {
  await using buildkit = await connect()
  const mark = unique()
  const step = (name: string) => ({
    script: `head -c 100000 /dev/zero >/made; : ${mark} ${name}`,
    mounts: [llb.cache('/kept', { id: `testkernels-${mark}-${name}` })],
  })
  const base = llb.image(baseRef(), { platform })
  const ours = markOurs(base).run(step('ours')).file(llb.mkfile('/on-top', mark))
  for (const state of [ours, base.run(step('theirs'))]) await buildkit.solve({ definition: state.definition() })

  const before = await buildkit.diskUsage()
  const marked = new Set(before.filter(({ description }) => description.includes(mark)).map(({ id }) => id))
  const onTop = before.filter(({ parent }) => parent !== undefined && marked.has(parent)).map(({ id }) => id)
  expect(marked.size).toBe(4)
  expect(onTop).toHaveLength(1)

  // The machine's other builds, of other tests among them, keep what they have.
  const known = new Set([...marked, ...onTop])
  const view: Pick<Buildkit, 'diskUsage' | 'prune'> = {
    diskUsage: async (options) => (await buildkit.diskUsage(options)).filter(({ id }) => known.has(id)),
    prune: (options) => buildkit.prune(options),
  }
  const { records, sizeBytes } = await pruneBuildCache(view, new AbortController().signal)
  expect(records).toBe(3)
  expect(sizeBytes).toBeGreaterThanOrEqual(100_000)
  const left = (await buildkit.diskUsage()).filter(({ id }) => known.has(id))
  expect(left.map(({ description }) => description)).toEqual([
    expect.stringContaining(`${mark} theirs`),
    expect.stringContaining(`${mark} theirs`),
  ])
  await buildkit.prune({ filters: left.map(({ id }) => `id==${id}`), all: true })
})
