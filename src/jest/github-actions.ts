// Jest's reporter for GitHub Actions, told apart by projects: the same test file runs once for each entry, and its annotations would be alike.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { AggregatedResult, Test, TestResult } from '@jest/reporters'

type Base = typeof import('@jest/reporters').GitHubActionsReporter

/** A package of Jest's own, which need not be where the project could see it. */
function findReporter(): Base {
  let require = createRequire(join(process.cwd(), 'package.json'))
  for (const name of ['jest', '@jest/core']) require = createRequire(require.resolve(name))
  return (require('@jest/reporters') as { GitHubActionsReporter: Base }).GitHubActionsReporter
}

/** Annotations are titled `[cgroupv1] > limits > is OOM-killed`. Takes the options of Jest's own. */
export default class KernelGitHubActionsReporter extends findReporter() {
  override onTestResult(test: Test, result: TestResult, aggregated: AggregatedResult): void {
    super.onTestResult(test, titled(result, test.context.config.displayName?.name), aggregated)
  }
}

function titled(result: TestResult, project: string | undefined): TestResult {
  if (project === undefined) return result
  const testResults = result.testResults.map((one) => ({
    ...one,
    ancestorTitles: [`[${project}]`, ...one.ancestorTitles],
  }))
  return { ...result, testResults }
}
