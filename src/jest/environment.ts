import { InvalidOptionError, TEST_TIMEOUT_MS } from '../options/index.ts'
import {
  abortable,
  abortableWithCallback,
  assignEnvironment,
  beginTest,
  type Failure,
  finishFile,
  kernelOf,
  type LeasedVm,
  leaseVms,
  neededBy,
  noteFailureOf,
  type ProvidedKernel,
  type RunningTest,
  readVariable,
  renewVms,
  type TestFunction,
} from '../worker/index.ts'
import { JestFileRecord } from './file-record.ts'
import type {
  CircusEvent,
  CircusState,
  CircusTest,
  DescribeBlock,
  EnvironmentClass,
  EnvironmentModule,
} from './jest-types.ts'
import { KEY } from './kernels.cjs'
import { type KernelRequest, type ProvidedToProject, providedVariable } from './project-files.ts'

/**
 * A test environment that has the project's VMs. It is the one place of a Jest worker that is outside of the tests' sandbox, and
 * the only one that can set variables which child processes of tests will see.
 */
export function withKernels(module: EnvironmentModule, request: KernelRequest): EnvironmentClass {
  const Base = classOf(module)
  return class KernelEnvironment extends Base {
    readonly #testTimeoutMs: number | undefined
    #vms: readonly LeasedVm[] = []
    readonly #running = new Map<CircusTest, RunningTest>()
    /** What went wrong when fresh VMs took the place of those on which a test failed. */
    readonly #renewed = new Map<CircusTest, readonly unknown[]>()
    /** What kernels reported in a try. */
    readonly #reported = new Map<CircusTest, readonly unknown[]>()
    readonly #provided: ProvidedToProject
    /** Undefined where there is to be no report of the run. */
    readonly #record: JestFileRecord | undefined
    #restore = () => {}

    constructor(...args: ConstructorParameters<EnvironmentClass>) {
      super(...args)
      checkTestRunner(args[0].projectConfig?.testRunner)
      // Jest has taken that of its whole configuration already.
      const ours = args[0].globalConfig.testTimeout === undefined ? TEST_TIMEOUT_MS : undefined
      this.#testTimeoutMs = request.testTimeoutMs ?? ours
      this.#provided = JSON.parse(readVariable(providedVariable(request)) ?? '{"sources":[]}')
      const { records } = this.#provided
      this.#record = records === undefined ? undefined : new JestFileRecord(records, args[1].testPath, request)
      Object.assign(this.global, { [KEY]: () => this.#vms.map(({ kernel }) => kernelOf(kernel)) })
    }

    override async setup(): Promise<void> {
      await super.setup()
      const lease = leaseVms(this.#provided.sources, { worker: readVariable('JEST_WORKER_ID') ?? '', toError })
      // Nothing else is called of an environment whose setup failed.
      lease.catch((thrown) => this.#record?.write([thrown], []))
      this.#vms = await lease
      if (request.scope === 'project') this.#point()
    }

    override async handleTestEvent(event: CircusEvent, state: CircusState): Promise<void> {
      if (event.name === 'setup' && this.#testTimeoutMs !== undefined) state.testTimeout = this.#testTimeoutMs
      if (event.name === 'run_start')
        makeTestsAbortable(state.rootDescribeBlock, (fullName) => this.#neededBy(fullName))
      await this.#watch(event, state)
      await super.handleTestEvent?.(event, state)
    }

    override async teardown(): Promise<void> {
      for (const vm of this.#vms) vm.release()
      this.#restore()
      await super.teardown()
    }

    /** The sandbox has a copy of the environment; child processes get that of the worker. */
    #point(): void {
      const environment: ProvidedKernel['environment'] = Object.assign(
        {},
        ...this.#vms.map(({ kernel }) => kernel.environment),
      )
      this.#restore = assignEnvironment(environment)
      for (const [name, value] of Object.entries(environment)) {
        if (value === undefined) delete this.global.process.env[name]
        else this.global.process.env[name] = value
      }
    }

    /** What a kernel reports during a test, with its hooks, is the test's failure; what it reports between them, the file's. */
    async #watch({ name, test }: CircusEvent, { unhandledErrors, rootDescribeBlock }: CircusState): Promise<void> {
      if (name === 'test_retry' && test !== undefined && !hasConcurrentTest(rootDescribeBlock))
        await this.#renewVmsOf(test)
      if (name === 'test_started' && test !== undefined) await this.#beginTry(test)
      if (name === 'test_done' && test !== undefined) await this.#endTry(test)
      if ((name === 'test_skip' || name === 'test_todo') && test !== undefined)
        this.#record?.skipped(test, fullNameOf(test))
      if (name === 'run_finish') {
        const { errors, told } = await finishFile(this.#vms)
        unhandledErrors.push(...errors)
        if (unhandledErrors.length > 0) this.#noteFailureOf('')
        for (const fullName of failedTests(rootDescribeBlock)) this.#noteFailureOf(fullName)
        if (this.#record !== undefined) this.#record.write(unhandledErrors, await told())
      }
    }

    /** What goes wrong with it is the failure of the try that follows; Jest takes what is thrown here for the end of the file. */
    async #renewVmsOf(test: CircusTest): Promise<void> {
      const vms = this.#neededBy(fullNameOf(test))
      if (vms.every(({ retryOn }) => retryOn === 'same-vm')) return
      this.#reported.delete(test)
      this.#renewed.set(test, await renewVms(vms).catch((thrown) => [thrown]))
    }

    /**
     * Of a test that has failed before it begins, Jest calls `afterEach` alone. So it is where a kernel reported a fault, and the VM is the
     * same: it says each thing once, so that another try would only hide it.
     */
    async #beginTry(test: CircusTest): Promise<void> {
      test.errors.push(...(this.#reported.get(test) ?? this.#renewed.get(test) ?? []))
      if (this.#reported.has(test)) return
      const fullName = fullNameOf(test)
      this.#running.set(test, await beginTest(fullName, this.#neededBy(fullName)))
    }

    async #endTry(test: CircusTest): Promise<void> {
      const running = this.#running.get(test)
      if (running === undefined) return
      this.#running.delete(test)
      this.#renewed.delete(test)
      const { errors, told } = await running.end()
      test.errors.push(...errors)
      if (errors.length > 0) this.#reported.set(test, errors)
      this.#record?.done(test, fullNameOf(test), told({ failed: test.errors.length > 0 }))
    }

    #noteFailureOf(fullName: string): void {
      noteFailureOf(fullName, { scope: request.scope, kernels: this.#vms })
    }

    #neededBy(fullName: string): readonly LeasedVm[] {
      return neededBy(fullName, { scope: request.scope, kernels: this.#vms })
    }
  }
}

function classOf(module: EnvironmentModule): EnvironmentClass {
  if (typeof module === 'function') return module
  const found = module.TestEnvironment ?? module.default
  if (found === undefined) throw new TypeError('the test environment exports no class')
  return found
}

/** Its tests may run beside any other of the file: with Jest 29 they all start with it. No VM can be taken from under them. */
function hasConcurrentTest({ children }: DescribeBlock): boolean {
  return children.some((child) => (child.type === 'test' ? child.concurrent === true : hasConcurrentTest(child)))
}

/** Full names of those that failed in the last of their tries. */
function failedTests({ children }: DescribeBlock): readonly string[] {
  return children.flatMap((child) => {
    if (child.type === 'describeBlock') return failedTests(child)
    return child.errors.length > 0 ? [fullNameOf(child)] : []
  })
}

/** Of the test and the blocks that it is in. */
function fullNameOf({ name, parent }: CircusTest): string {
  const names = [name]
  for (let block: DescribeBlock | undefined = parent; block?.parent !== undefined; block = block.parent)
    names.unshift(block.name)
  return names.join(' > ')
}

/** Jest takes all lines of a stack but its first for frames, so there is none, and then it prints the message. */
function toError({ title, message }: Failure): Error {
  const error = new Error(`${title}: ${message}`)
  error.stack = ''
  return error
}

/**
 * Makes every test of a file end when a VM that it needs is gone, and what comes before it. What comes after, stays: a test may
 * have more to clean up than its VM.
 * @param vmsOf the VMs that a test cannot do without, by its full name
 */
export function makeTestsAbortable(
  block: DescribeBlock,
  vmsOf: (fullName: string) => readonly Pick<LeasedVm, 'gone'>[],
  parents: readonly string[] = [],
): void {
  const names = (name: string) => [...parents, name].join(' > ')
  for (const hook of block.hooks) {
    if (hook.type === 'beforeAll' || hook.type === 'beforeEach') makeAbortable(hook, vmsOf(parents.join(' > ')))
  }
  for (const child of block.children) {
    if (child.type === 'test') makeAbortable(child, vmsOf(names(child.name)))
    else makeTestsAbortable(child, vmsOf, [...parents, child.name])
  }
}

function makeAbortable(holder: { fn?: TestFunction }, vms: readonly Pick<LeasedVm, 'gone'>[]): void {
  const { fn } = holder
  // Jest runs generators as it did before there were promises. They are rare, and have their timeout.
  if (vms.length === 0 || fn === undefined || fn.constructor.name === 'GeneratorFunction') return
  holder.fn = fn.length > 0 ? abortableWithCallback(fn, vms) : abortable(fn, vms)
}

/** @throws InvalidOptionError for the test runner of old, with which a VM that dies would fail no test */
function checkTestRunner(path = ''): void {
  if (!path.includes('jest-jasmine2')) return
  throw new InvalidOptionError({
    what: `the test runner ${path} tells a test environment nothing of its tests`,
    remedy: "remove testRunner from Jest's configuration: its own, jest-circus, is the default",
  })
}
