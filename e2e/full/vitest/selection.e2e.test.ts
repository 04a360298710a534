// What boots, by what is selected.
import { expect, test } from 'vitest'
import { booted } from '../../support/jest.ts'
import { vitest } from '../../support/run.ts'

const good = ['--config', 'configs/good.config.ts']

test.each([
  { args: ['--project', '!one', 'passes'], boots: ['two'] },
  // One file of each project: the shards are a project each.
  { args: ['--shard', '1/2', 'passes'], boots: [expect.stringMatching(/one|two/)] },
  { args: ['--project', 'one', '--project', 'two', 'passes'], boots: ['one', 'two'] },
  { args: ['--pool', 'threads', '--project', 'one', 'passes'], boots: ['one'] },
  { args: ['--pool', 'vmThreads', '--project', 'one', 'passes'], boots: ['one'] },
])('$args', async ({ args, boots }) => {
  await using run = await vitest('vitest-faults', [...good, ...args])
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(booted(run)).toEqual(boots)
  await run.gone()
})

test('watch keeps its VMs for the next run, and q ends them', async () => {
  await using run = await vitest('vitest-faults', [...good, '--project', 'one', 'passes'], { command: 'watch' })
  await run.program.printed('stdout', /Tests +1 passed/)
  const qemus = await run.qemus()
  run.program.type('a')
  await run.program.printed('stdout', /Tests +1 passed[\s\S]*Tests +1 passed/)
  expect(booted(run)).toEqual(['one'])
  run.program.type('q')
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  await run.gone(qemus)
})
