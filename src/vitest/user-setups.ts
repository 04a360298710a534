import { createRequire, syncBuiltinESMExports } from 'node:module'
import { resolve } from 'node:path'
import type { TestProject } from 'vitest/node'
import { InvalidOptionError } from '../options/index.ts'
import { assignEnvironment, kernelOf, type ProvidedKernel, type Testcontainers } from '../worker/index.ts'
import { releaseVms, setVms } from './kernels.ts'

type Teardown = () => unknown

/** A module of a global setup, as Vitest takes it. */
interface SetupModule {
  readonly default?: (project: TestProject) => unknown
  readonly setup?: (project: TestProject) => unknown
  readonly teardown?: Teardown
}

/**
 * The global setups that a user gave a project with one VM. Vitest would call them with the environment of the machine, and a container
 * that they start would be on its engine; and also when tests are only listed, and there is no VM. So we call them: when there is one,
 * with its environment.
 */
export class UserSetups {
  readonly #project: TestProject
  readonly #paths: readonly string[]
  readonly #teardowns: Teardown[] = []
  #kernel: ProvidedKernel | undefined

  constructor(project: TestProject, paths: readonly string[]) {
    this.#project = project
    this.#paths = paths
  }

  /** @throws what one throws; InvalidOptionError for one that sets up nothing */
  async setUp(kernel: ProvidedKernel): Promise<void> {
    this.#kernel = kernel
    for (const path of this.#paths) await this.#call(path, kernel)
  }

  /** Those that were set up last first. @throws what one throws */
  async tearDown(): Promise<void> {
    const kernel = this.#kernel
    if (kernel === undefined) return
    for (const teardown of this.#teardowns.splice(0).reverse()) await this.#onVm(kernel, teardown)
  }

  async #call(path: string, kernel: ProvidedKernel): Promise<void> {
    const load = () => this.#project.import(this.#resolve(path))
    const { default: setup, ...named } = (await this.#onVm(kernel, load)) as SetupModule
    const begin = setup ?? named.setup
    const { teardown } = named
    if (begin === undefined && teardown === undefined) {
      throw new InvalidOptionError({
        what: `the global setup ${path} of project ${this.#project.name} sets up nothing`,
        remedy: 'export a function by default, or functions that are named setup and teardown',
      })
    }
    const returned = await this.#onVm(kernel, () => begin?.(this.#project))
    const end = teardown ?? returned
    if (typeof end === 'function') this.#teardowns.push(end as Teardown)
  }

  /** As Vitest finds it: a package, or a file below the project's root. */
  #resolve(path: string): string {
    const { root } = this.#project.config
    try {
      return createRequire(resolve(root, 'package.json')).resolve(path)
    } catch {
      return resolve(root, path)
    }
  }

  /** The environment belongs to the whole process: no two of these at a time. */
  async #onVm(kernel: ProvidedKernel, work: () => unknown): Promise<unknown> {
    const restore = [assignEnvironment(kernel.environment), redirectTestcontainers(kernel), refuseSynchronous(kernel)]
    setVms({ leased: [], kernels: [kernel] })
    try {
      return await work()
    } finally {
      for (const one of restore) one()
      releaseVms()
    }
  }
}

/** Where Testcontainers finds its client, from version 10 on. */
const CLIENT_MODULE = '/node_modules/testcontainers/build/container-runtime/clients/client.js'

/**
 * Testcontainers finds its client once in a process, and the second project's setup would have the VM of the first, or whatever engine a
 * setup at the root found. All of the package asks this module for it; what is loaded by now is given the VM's.
 * @returns what puts the package's own back
 */
function redirectTestcontainers(kernel: ProvidedKernel): () => void {
  const { cache } = createRequire(import.meta.url)
  const loaded = Object.keys(cache).filter((path) => path.endsWith(CLIENT_MODULE))
  const former = loaded.map((path) => {
    const exports: Pick<Testcontainers, 'getContainerRuntimeClient'> = cache[path]?.exports
    const { getContainerRuntimeClient } = exports
    exports.getContainerRuntimeClient = async () => {
      const own = await kernelOf(kernel).testcontainers()
      return await own.getContainerRuntimeClient()
    }
    return () => Object.assign(exports, { getContainerRuntimeClient })
  })
  return () => former.forEach((restore) => void restore())
}

/** What a Docker client that cannot connect names. */
const NOT_WHILE_WAITED_FOR = 'unix:///nonexistent/testkernels-no-VM-for-execSync-in-a-global-setup-use-execFile.sock'

/**
 * This process passes on what is said to the VM, which it cannot do while it stands still for a child process: `execSync('docker info')`
 * would wait forever. Docker clients that are waited for in this way fail at once, and name the reason; all other programs work.
 * @returns what takes it back
 */
function refuseSynchronous({ dockerHost }: ProvidedKernel): () => void {
  const childProcess = createRequire(import.meta.url)('node:child_process')
  const names = ['execSync', 'execFileSync', 'spawnSync'] as const
  const former = Object.fromEntries(names.map((name) => [name, childProcess[name]]))
  const refused = names.map((name) => {
    const call = (...args: unknown[]) => {
      const restore = assignEnvironment({ DOCKER_HOST: NOT_WHILE_WAITED_FOR })
      try {
        return former[name](...args.map((arg) => withoutVm(arg, dockerHost)))
      } finally {
        restore()
      }
    }
    return [name, call]
  })
  const assign = (functions: object) => {
    Object.assign(childProcess, functions)
    syncBuiltinESMExports()
  }
  assign(Object.fromEntries(refused))
  return () => assign(former)
}

/** Options with an environment of their own, which most often is that of this process and something more. */
function withoutVm(options: unknown, dockerHost: string): unknown {
  const { env } = (options ?? {}) as { env?: Record<string, string> }
  if (env?.['DOCKER_HOST'] !== dockerHost) return options
  return { ...(options as object), env: { ...env, DOCKER_HOST: NOT_WHILE_WAITED_FOR } }
}
