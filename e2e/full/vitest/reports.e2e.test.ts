// What reaches CI about a test that runs once for each entry: reports that say which.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { vitest } from '../../support/run.ts'

const failing = ['--config', 'configs/good.config.ts', 'fails']

test('JUnit: suites and cases carry the name of the entry', async () => {
  await using run = await vitest('vitest-faults', [...failing, '--reporter', 'testkernels/vitest/junit'])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  for (const entry of ['one', 'two']) {
    expect(run.program.stdout).toContain(`<testsuite name="[${entry}] test/fails.vm.test.ts"`)
    expect(run.program.stdout).toContain(`<testcase classname="[${entry}] test/fails.vm.test.ts" name="fails"`)
  }
  await run.gone()
})

test('JUnit goes into a file, with the options of the reporter of Vitest', async () => {
  await using run = await vitest('vitest-faults', [
    ...failing,
    '--reporter=testkernels/vitest/junit',
    '--outputFile.junit=../../.testkernels/junit.xml',
    '--project=two',
  ])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  const report = await readFile(join(import.meta.dirname, '../../../.testkernels/junit.xml'), 'utf8')
  expect(report.match(/<testsuite name=".*?"/g)).toEqual(['<testsuite name="[two] test/fails.vm.test.ts"'])
  await run.gone()
})

test('annotations of GitHub Actions carry the name of the entry', async () => {
  await using run = await vitest('vitest-faults', [...failing, '--reporter', 'github-actions'])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  for (const entry of ['one', 'two']) expect(run.program.stdout).toMatch(titleOf(entry))
  await run.gone()
})

function titleOf(entry: string): RegExp {
  return new RegExp(
    `^::error file=.*fails\\.vm\\.test\\.ts,title=\\[${entry}\\] test/fails\\.vm\\.test\\.ts > fails,`,
    'm',
  )
}
