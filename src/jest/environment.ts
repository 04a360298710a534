import {
  assignEnvironment,
  type Failure,
  kernelOf,
  type LeasedVm,
  leaseVms,
  neededBy,
  type ProvidedKernel,
  readVariable,
  type VmSource,
} from '../worker/index.ts'
import { makeTestsAbortable } from './abortable-tests.ts'
import type { CircusEvent, CircusState, EnvironmentClass, EnvironmentModule } from './jest-types.ts'
import { KEY } from './kernels.cjs'
import { type KernelRequest, sourcesVariable } from './request.ts'

/**
 * A test environment that has the project's VMs. It is the one place of a Jest worker that is outside of the tests' sandbox, and
 * the only one that can set variables which child processes of tests will see.
 */
export function withKernels(module: EnvironmentModule, request: KernelRequest): EnvironmentClass {
  const Base = classOf(module)
  return class KernelEnvironment extends Base {
    readonly #configuresTimeout: boolean
    #vms: readonly LeasedVm[] = []
    #restore = () => {}

    constructor(...args: ConstructorParameters<EnvironmentClass>) {
      super(...args)
      this.#configuresTimeout = args[0].globalConfig.testTimeout !== undefined
      Object.assign(this.global, { [KEY]: () => this.#vms.map(({ kernel }) => kernelOf(kernel)) })
    }

    override async setup(): Promise<void> {
      await super.setup()
      this.#vms = await leaseVms(sourcesOf(request), { worker: readVariable('JEST_WORKER_ID') ?? '', toError })
      if (request.scope === 'project') this.#point()
    }

    override async handleTestEvent(event: CircusEvent, state: CircusState): Promise<void> {
      if (event.name === 'setup' && !this.#configuresTimeout) state.testTimeout = request.testTimeoutMs
      if (event.name === 'run_start')
        makeTestsAbortable(state.rootDescribeBlock, (fullName) => this.#neededBy(fullName))
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

    #neededBy(fullName: string): readonly AbortSignal[] {
      return neededBy(fullName, { scope: request.scope, kernels: this.#vms }).map(({ gone }) => gone)
    }
  }
}

function classOf(module: EnvironmentModule): EnvironmentClass {
  if (typeof module === 'function') return module
  const found = module.TestEnvironment ?? module.default
  if (found === undefined) throw new TypeError('the test environment exports no class')
  return found
}

/** Jest takes all lines of a stack but its first for frames, so there is none, and then it prints the message. */
function toError({ title, message }: Failure): Error {
  const error = new Error(`${title}: ${message}`)
  error.stack = ''
  return error
}

/** As the global setup of the project left them. */
function sourcesOf(request: KernelRequest): readonly VmSource[] {
  return JSON.parse(readVariable(sourcesVariable(request)) ?? '[]')
}
