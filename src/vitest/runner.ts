// Vitest's own test runner, whose tests hear of the end of the VM that they run on.
import type { RunnerTask, RunnerTestCase, RunnerTestSuite } from 'vitest'
import * as vitest from 'vitest'
import type { RetryOn } from '../options/index.ts'
import {
  abortable,
  beginTest,
  finishFile,
  goBack,
  type LeasedVm,
  neededBy,
  noteFailureOf,
  type RunningTest,
  type TestFunction,
} from '../worker/index.ts'
import { leasedVms, type ReportMeta, releaseVms } from './kernels.ts'

interface TryOptions {
  readonly retry: number
}

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
  readonly #provided = vitest.inject('testkernels')
  readonly #running = new Map<RunnerTestCase, RunningTest>()
  /** How many tries of a test failed before they began. */
  readonly #untried = new WeakMap<RunnerTestCase, number>()
  /** What kernels said outside of tests. */
  readonly #outside: Error[] = []
  #wentBack: Promise<void> = Promise.resolve()

  /** What comes before a test ends with its VM as well. What comes after, stays: there may be more to clean up. */
  override async onBeforeRunSuite(suite: RunnerTestSuite): Promise<void> {
    await this.#goBack()
    const vms = this.#neededBy(suite)
    // None in a file whose setup failed, as when its VM did not start.
    const found = hooksOf(suite) as Record<'beforeAll' | 'beforeEach', TestFunction[]> | undefined
    const { beforeAll = [], beforeEach = [] } = found ?? {}
    // In place: there is nothing to set them with in every version.
    for (const hooks of [beforeAll, beforeEach])
      hooks.splice(0, hooks.length, ...hooks.map((run) => abortable(run, vms)))
    await super.onBeforeRunSuite(suite)
  }

  /** A test is watched with its hooks, and however often it is tried. */
  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    await super.onBeforeRunTask(test)
    if (test.mode !== 'run' && test.mode !== 'queued') return
    await this.#goBack()
    this.#running.set(test, await beginTest(fullName(test), this.#neededBy(test)))
  }

  /** Before its `beforeEach`. Tests that run beside others have their VM together, and it cannot be taken from under those. */
  override async onBeforeTryTask(test: RunnerTestCase, options?: TryOptions): Promise<void> {
    await super.onBeforeTryTask(test)
    const running = this.#running.get(test)
    if (running === undefined || options === undefined) return
    const on: RetryOn = isBeside(test) ? 'same-vm' : 'fresh-vm'
    if (options.retry > 0) await this.#retry(test, { running, on })
    // A test that is to fail, or runs several times over, is judged once it is over: how a try ended, Vitest does not say of it.
    if (test.fails || test.repeats || options.retry >= retriesOf(test)) return
    if (on === 'same-vm' || this.#neededBy(test).every(({ retryOn }) => retryOn === 'same-vm')) return
    // The first that is asked for is called last, when all hooks of the try are over; and without a time limit.
    test.context.onTestFinished(async () => fail(test, (await this.#running.get(test)?.endTry()) ?? []), 0)
  }

  async #retry(test: RunnerTestCase, { running, on }: { running: RunningTest; on: RetryOn }): Promise<void> {
    const failed = await running.retry(on)
    if (failed === undefined) return
    if (failed.errors.length === 0) this.#untried.set(test, (this.#untried.get(test) ?? 0) + 1)
    // Vitest takes a list of errors, an empty one too: the try has failed, and there is nothing to add to why.
    throw failed.errors
  }

  async runTask(test: RunnerTestCase): Promise<void> {
    await abortable(functionOf(test), this.#neededBy(test))()
  }

  /** Of a test that skips itself, Vitest tells no more. Its own runner has no such method. */
  onTaskFinished(test: RunnerTestCase): void {
    if (test.result?.state !== 'skip') return
    this.#running.get(test)?.leave()
    this.#running.delete(test)
  }

  override async onAfterRunTask(test: RunnerTestCase): Promise<void> {
    const running = this.#running.get(test)
    this.#running.delete(test)
    if (running !== undefined) {
      const { errors, told } = await running.end()
      fail(test, errors)
      if (this.#provided.report) {
        const failed = test.result?.state === 'fail'
        reportMeta(test).testkernelsTest = { ...told({ failed }), untried: this.#untried.get(test) ?? 0 }
      }
    }
    await super.onAfterRunTask(test)
  }

  override async onAfterRunSuite(suite: RunnerTestSuite): Promise<void> {
    if ('filepath' in suite) {
      await this.#goBack()
      const { errors, told } = await finishFile(leasedVms())
      fail(suite, [...this.#outside.splice(0), ...errors])
      this.#noteFailures(suite)
      if (this.#provided.report) reportMeta(suite).testkernelsVms = await told()
    }
    await super.onAfterRunSuite(suite)
  }

  /** As at Ctrl-C in watch mode. */
  override cancel(...args: Parameters<TestRunnerClass['prototype']['cancel']>): void {
    super.cancel(...args)
    for (const { watch } of leasedVms()) watch?.callOff()
  }

  override onAfterRunFiles(): void {
    releaseVms()
    super.onAfterRunFiles()
  }

  /** Of a test that skips itself when it is tried again, no end is told: nobody has gone back to the VMs from before. One at a time. */
  #goBack(): Promise<void> {
    const before = this.#wentBack.catch(() => {})
    this.#wentBack = before.then(async () => void this.#outside.push(...(await goBack(leasedVms()))))
    return this.#wentBack
  }

  /** Of tests, and of what is around them. */
  #noteFailures(task: RunnerTask): void {
    const isSuite = 'tasks' in task
    if (isSuite) for (const child of task.tasks) this.#noteFailures(child)
    const { state, errors = [] } = task.result ?? {}
    if (state !== 'fail' || (isSuite && errors.length === 0)) return
    noteFailureOf(fullName(task), { scope: this.#provided.scope, kernels: leasedVms() })
  }

  #neededBy(task: RunnerTask): readonly LeasedVm[] {
    return neededBy(fullName(task), { scope: this.#provided.scope, kernels: leasedVms() })
  }
}

function reportMeta({ meta }: RunnerTask): ReportMeta {
  return meta as ReportMeta
}

/** Vitest has settled its result, and has not told anybody yet. */
function fail({ result }: RunnerTask, errors: readonly Error[]): void {
  if (errors.length === 0 || result === undefined) return
  result.state = 'fail'
  result.errors = [
    ...(result.errors ?? []),
    ...errors.map(({ name, message, stack = '' }) => ({ name, message, stack })),
  ]
}

/** How often it is tried again at the most. */
function retriesOf({ retry }: RunnerTestCase): number {
  return (typeof retry === 'object' ? retry.count : retry) ?? 0
}

/** Whether it may run beside others, by itself or with a suite that it is in. */
function isBeside(task: RunnerTask): boolean {
  return task.concurrent === true || (task.suite !== undefined && isBeside(task.suite))
}

/** Of the task and the suites that it is in; without the file, whose name is of no matter. */
function fullName(task: RunnerTask): string {
  if ('filepath' in task) return ''
  return [task.suite && fullName(task.suite), task.name].filter(Boolean).join(' > ')
}
