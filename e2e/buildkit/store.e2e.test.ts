import { expect, test } from 'vitest'
import { llb } from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'
import { baseRef, connect, unique } from './support.ts'

test('what a solve leaves in the build cache is listed, and removed by its id alone', async () => {
  await using buildkit = await connect()
  const mark = unique()
  const run = llb.image(baseRef(), { platform }).run({ script: `head -c 50000 /dev/zero > /file-${mark}` })
  await buildkit.solve({ definition: run.definition() })
  const before = await buildkit.diskUsage()
  const record = before.find(({ description }) => description.includes(mark))
  expect(record).toMatchObject({ recordType: 'regular', isInUse: false })
  expect(record?.sizeBytes).toBeGreaterThanOrEqual(50_000)

  const removed = await buildkit.prune({ filters: [`id==${record?.id}`], all: true })
  expect(removed.map(({ id }) => id)).toEqual([record?.id])
  const after = await buildkit.diskUsage()
  expect(after.map(({ id }) => id)).not.toContain(record?.id)
})

test('a cache mount is listed under its type, and keeps its content until it is pruned', async () => {
  await using buildkit = await connect()
  const mark = unique()
  const id = `e2e-${mark}`
  const run = (script: string) => {
    const mounts = [llb.cache('/kept', { id })]
    return buildkit.solve({
      definition: llb
        .image(baseRef(), { platform })
        .run({ script: `: ${unique()}; ${script}`, mounts })
        .definition(),
    })
  }
  await run(`test ! -e /kept/file && echo ${mark} > /kept/file`)
  await run(`test "$(cat /kept/file)" = ${mark}`)
  const mounts = await buildkit.diskUsage({ filters: ['type==exec.cachemount'] })
  const record = mounts.find(({ description }) => description.includes(mark))
  await buildkit.prune({ filters: [`id==${record?.id}`], all: true })
  await run('test ! -e /kept/file')
})

test('a worker tells the platforms it runs', async () => {
  await using buildkit = await connect()
  const workers = await buildkit.listWorkers()
  expect(workers[0]?.platforms).toContainEqual(expect.objectContaining({ os: 'linux' }))
})
