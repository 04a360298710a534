import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { replaceFileSync } from '../files/index.ts'
import {
  InvalidOptionError,
  type Isolation,
  type KeepOnFailure,
  type NamedKernelOptions,
  type RetryOn,
} from '../options/index.ts'
import type { Scope, VmSource } from '../worker/index.ts'
import { KEY } from './kernels.cjs'

/** What a project asks for; written into the files that Jest loads for it. */
export interface KernelRequest {
  /** Tells projects apart. */
  readonly id: string
  readonly rows: readonly NamedKernelOptions[]
  /** Of the first of them in the matrix. */
  readonly place: number
  readonly scope: Scope
  readonly isolation: Isolation
  readonly retryOn: RetryOn
  readonly keepOnFailure: KeepOnFailure
  /** The directory of a report of the run, from the root of Jest's configuration. */
  readonly kernelReport?: string
  /** Longest wait for a test or a hook that names none, in milliseconds, if the project says one. */
  readonly testTimeoutMs?: number
}

/** What workers are told of a project. */
export interface ProvidedToProject {
  /** Where they get its VMs, or hear of them. */
  readonly sources: readonly VmSource[]
  /** The directory in which they leave what a report of the run is made of; none where there is to be none. */
  readonly records?: string
}

/** The variable that tells them: `ProvidedToProject`, as JSON. */
export function providedVariable({ id }: Pick<KernelRequest, 'id'>): string {
  return `TESTKERNELS_JEST_${id}`
}

/** The files that Jest loads for one project. */
export interface ProjectFiles {
  readonly globalSetup: string
  readonly globalTeardown: string
  readonly testEnvironment: string
  /** Run before each test file; tells of one that has left our environment. */
  readonly guard: string
}

export interface ProjectFilesOptions {
  readonly request: KernelRequest
  /** The file of the test environment that ours builds on. */
  readonly environment: string
  readonly cacheDirectory: string
}

/**
 * Jest names such files by their path, runs a path that two projects share for one of them only, and tells it of no options. So
 * each project has files of its own, which pass on what it asks for.
 */
export function writeProjectFiles({ request, environment, cacheDirectory }: ProjectFilesOptions): ProjectFiles {
  const directory = join(cacheDirectory, 'jest', request.id)
  mkdirSync(directory, { recursive: true })
  const file = (name: string, code: string) => {
    const path = join(directory, name)
    // Another Jest may read it at this moment.
    replaceFileSync(path, code)
    return path
  }
  const asked = JSON.stringify(request)
  const lifecycle = JSON.stringify(moduleBeside('lifecycle'))
  return {
    globalSetup: file(
      'global-setup.mjs',
      `import { setUp } from ${lifecycle}\nexport default (config) => setUp(${asked}, config)\n`,
    ),
    globalTeardown: file(
      'global-teardown.mjs',
      `import { tearDown } from ${lifecycle}\nexport default (config) => tearDown(${asked}, config)\n`,
    ),
    testEnvironment: file(
      'environment.mjs',
      `import { createRequire } from 'node:module'
import { withKernels } from ${JSON.stringify(moduleBeside('environment'))}
export default withKernels(createRequire(import.meta.url)(${JSON.stringify(environment)}), ${asked})
`,
    ),
    guard: file('guard.cjs', guard),
  }
}

const guard = `if (globalThis[Symbol.for(${JSON.stringify(Symbol.keyFor(KEY))})] === undefined) {
  throw Object.assign(
    new Error(
      'this file names a test environment of its own (@jest-environment), in which it has no VM\\n' +
        '  remedy: give the environment to kernelProjects() or kernelSuite() as testEnvironment',
    ),
    { code: 'NO_KERNELS' },
  )
}
`

function moduleBeside(name: string): string {
  return new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url).href
}

/**
 * The file of a test environment, found as Jest finds it: `node` is the package jest-environment-node.
 * @param name a package's name, with or without its prefix, or a path
 * @param rootDir of the project
 * @throws InvalidOptionError
 */
export function findTestEnvironment(name: string, rootDir = process.cwd()): string {
  const root = resolve(rootDir)
  const path = name.replace('<rootDir>', root)
  const places = isAbsolute(path) || path.startsWith('.') ? [root] : [root, process.cwd(), ...jestsOwn()]
  const names = isAbsolute(path) || path.startsWith('.') ? [path] : [`jest-environment-${path}`, path]
  for (const place of places) {
    const from = createRequire(pathToFileURL(join(place, 'package.json')))
    for (const candidate of names) {
      const found = resolved(from, candidate)
      if (found !== undefined) return found
    }
  }
  throw new InvalidOptionError({
    what: `there is no test environment '${name}'`,
    remedy: `install the package jest-environment-${name}, or name a file by its path`,
  })
}

/** Packages of Jest's that depend on its environment for Node; it need not be where the project could see it. */
function jestsOwn(): string[] {
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  return loaded.filter((path) => /[\\/]jest-(config|runner)[\\/]build[\\/]index\.js$/.test(path))
}

function resolved(from: NodeJS.Require, name: string): string | undefined {
  try {
    return from.resolve(name)
  } catch {
    return undefined
  }
}
