import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFileSync } from '../files/index.ts'
import { KEY } from './kernels.cjs'
import type { KernelRequest } from './request.ts'

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
