// What boots, by what is selected.
import { expect, test } from 'vitest'
import { vitest } from '../../support/run.ts'

const good = ['--config', 'configs/good.config.ts']

test.each([
  { args: ['--project', '!one', 'passes'], boots: ['two'] },
  { args: ['--project', 'one', '--project', 'two', 'passes'], boots: ['one', 'two'] },
  { args: ['--pool', 'threads', '--project', 'one', 'passes'], boots: ['one'] },
  { args: ['--pool', 'vmThreads', '--project', 'one', 'passes'], boots: ['one'] },
])('$args', async ({ args, boots }) => {
  await using run = await vitest('vitest-faults', [...good, ...args])
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(run.booted).toEqual(boots)
  await run.gone()
})

test('each shard boots what its files need', async () => {
  const boots: string[][] = []
  for (const shard of ['1/2', '2/2']) {
    await using run = await vitest('vitest-faults', ['--config', 'configs/split.config.ts', '--shard', shard])
    expect(await run.program.exit).toEqual({ code: 0, signal: null })
    boots.push(run.booted)
    await run.gone()
  }
  expect(boots.toSorted()).toEqual([['one'], ['two']])
})

test('watch keeps its VMs for the next run, and q ends them', async () => {
  const options = { command: 'watch', terminal: true }
  await using run = await vitest('vitest-faults', [...good, '--project', 'one', 'passes'], options)
  await run.program.printed('stdout', /Waiting for file changes/)
  const qemus = await run.qemus()
  run.program.type('r')
  await run.program.printed('stdout', /Waiting for file changes[\s\S]+Tests +1 passed[\s\S]+Waiting for file changes/)
  expect(run.program.stdout.match(/Tests +1 passed/g)?.length).toBeGreaterThanOrEqual(2)
  expect(run.booted).toEqual(['one'])
  run.program.type('q')
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  await run.gone(qemus)
})
