import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type Docker from 'dockerode'
import { TestkernelsError } from '../errors/index.ts'
import { assignEnvironment } from './environment.ts'
import type { ProvidedKernel } from './fate.ts'

/** A running VM, in a test. */
export interface Kernel extends ProvidedKernel {
  /** A new dockerode client of this VM's dockerd. */
  docker(): Docker
  /**
   * The testcontainers package, bound to this VM: its own copy, because the package keeps one client for each process.
   * @throws TestcontainersUnavailableError under Vitest's vm pools, or when the package is not installed
   */
  testcontainers(): Promise<Testcontainers>
}

const require = createRequire(import.meta.url)

/** dockerode takes from DOCKER_HOST and its kin whatever is not given, and prefers a host to a socket: in a suite they are the engine's. */
const NO_HOST = { protocol: 'http', host: undefined, port: undefined, ca: undefined, cert: undefined, key: undefined }

export function kernelOf(provided: ProvidedKernel): Kernel {
  return {
    ...provided,
    docker: () => {
      // Loaded when it is asked for: it takes most of a second, and most test files need none.
      const Client = require('dockerode') as typeof Docker
      return new Client({ ...NO_HOST, socketPath: socketOf(provided.dockerHost) } as Docker.DockerOptions)
    },
    testcontainers: () => copies.for(provided),
  }
}

function socketOf(dockerHost: string): string {
  return dockerHost.slice('unix://'.length)
}

export type Testcontainers = typeof import('testcontainers')

/** The testcontainers package cannot be had as a copy of its own. */
export class TestcontainersUnavailableError extends TestkernelsError {
  readonly code = 'TESTCONTAINERS_UNAVAILABLE'
}

/**
 * Copies of testcontainers, each of whose runtime client is one VM. The package finds its client once, from the environment, when it is
 * first needed; so each copy is loaded afresh and made to find it while the environment is that of the VM. One at a time, because the
 * environment belongs to the whole process.
 */
class TestcontainersCopies {
  readonly #copies = new Map<string, Promise<Testcontainers>>()
  #previous: Promise<unknown> = Promise.resolve()

  for(kernel: ProvidedKernel): Promise<Testcontainers> {
    const former = this.#copies.get(kernel.dockerHost)
    if (former !== undefined) return former
    const copy = this.#previous.then(() => loadCopy(kernel))
    this.#previous = copy.catch(() => {})
    this.#copies.set(kernel.dockerHost, copy)
    return copy
  }
}

const copies = new TestcontainersCopies()

async function loadCopy({ name, environment, dockerHost }: ProvidedKernel): Promise<Testcontainers> {
  const require = createRequire(pathToFileURL(join(process.cwd(), 'package.json')))
  const unavailable = (cause: unknown) =>
    new TestcontainersUnavailableError({
      what: 'cannot load a copy of testcontainers for this VM',
      entry: name,
      cause,
      remedy: "install testcontainers beside your tests, and use Vitest's pool 'forks' or 'threads'",
    })
  let entryPoint: string
  try {
    entryPoint = require.resolve('testcontainers')
  } catch (cause) {
    throw unavailable(cause)
  }
  const cached = setAside(require)
  const restore = assignEnvironment(environment)
  try {
    const copy = require(entryPoint) as Testcontainers
    const { container } = await copy.getContainerRuntimeClient()
    // Where one does not answer at once it takes another, such as that of this machine, and says nothing.
    const { socketPath } = container.dockerode.modem as object as { readonly socketPath?: string }
    if (socketPath !== socketOf(dockerHost))
      throw new Error(`it has taken another engine: ${socketPath ?? 'of a host'}`)
    return copy
  } catch (cause) {
    throw unavailable(cause)
  } finally {
    restore()
    for (const path of packageFiles(require)) delete require.cache[path]
    Object.assign(require.cache, cached)
    // Read again at each start of a container: the VM itself is the reaper.
    assignEnvironment({ TESTCONTAINERS_RYUK_DISABLED: 'true' })
  }
}

function packageFiles(require: NodeJS.Require): string[] {
  return Object.keys(require.cache).filter((path) => path.includes('/node_modules/testcontainers/'))
}

function setAside(require: NodeJS.Require): NodeJS.Dict<NodeModule> {
  const cached: NodeJS.Dict<NodeModule> = {}
  for (const path of packageFiles(require)) {
    cached[path] = require.cache[path]
    delete require.cache[path]
  }
  return cached
}
