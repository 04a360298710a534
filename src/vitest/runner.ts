// Vitest's own test runner, whose tests hear of the end of the VM that they run on.
import type { RunnerTask, RunnerTestCase, RunnerTestSuite } from 'vitest'
import * as vitest from 'vitest'
import { abortable, neededBy, type TestFunction } from '../worker/index.ts'
import { leasedVms, releaseVms } from './kernels.ts'

type TestRunnerClass = typeof vitest.TestRunner

/** In which place Vitest exports it, depends on its version: 4.1 and 5, or 3.2 and 4.0. */
async function findTestRunner() {
  const { TestRunner: current } = vitest as { TestRunner?: TestRunnerClass }
  if (current !== undefined) {
    return { TestRunner: current, functionOf: current.getTestFn, hooksOf: current.getSuiteHooks }
  }
  const runners = (await import('vitest/runners')) as unknown as { VitestTestRunner: TestRunnerClass }
  const { getFn, getHooks } = await import('vitest/suite')
  return { TestRunner: runners.VitestTestRunner, functionOf: getFn, hooksOf: getHooks }
}

const { TestRunner, functionOf, hooksOf } = await findTestRunner()

export default class KernelTestRunner extends TestRunner {
  readonly #scope = vitest.inject('testkernels').scope

  /** What comes before a test ends with its VM as well. What comes after, stays: there may be more to clean up. */
  override async onBeforeRunSuite(suite: RunnerTestSuite): Promise<void> {
    const vms = this.#neededBy(suite)
    // None in a file whose setup failed, as when its VM did not start.
    const found = hooksOf(suite) as Record<'beforeAll' | 'beforeEach', TestFunction[]> | undefined
    const { beforeAll = [], beforeEach = [] } = found ?? {}
    // In place: there is nothing to set them with in every version.
    for (const hooks of [beforeAll, beforeEach])
      hooks.splice(0, hooks.length, ...hooks.map((run) => abortable(run, vms)))
    await super.onBeforeRunSuite(suite)
  }

  async runTask(test: RunnerTestCase): Promise<void> {
    await abortable(functionOf(test), this.#neededBy(test))()
  }

  override onAfterRunFiles(): void {
    releaseVms()
    super.onAfterRunFiles()
  }

  #neededBy(task: RunnerTask): readonly AbortSignal[] {
    return neededBy(fullName(task), { scope: this.#scope, kernels: leasedVms() }).map(({ gone }) => gone)
  }
}

/** Of the task and the suites that it is in; without the file, whose name is of no matter. */
function fullName(task: RunnerTask): string {
  if ('filepath' in task) return ''
  return [task.suite && fullName(task.suite), task.name].filter(Boolean).join(' > ')
}
