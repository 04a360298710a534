import { createHash } from 'node:crypto'
import type { Config } from 'jest'
import { inConfiguration } from '../errors/index.ts'
import {
  InvalidOptionError,
  type KernelMatrix,
  matrixRows,
  type NamedKernelOptions,
  type ProjectOptions,
  parseIsolation,
  parseKeepOnFailure,
  parseKernelReport,
  parseRetryOn,
  readSettings,
} from '../options/index.ts'
import type { Scope } from '../worker/index.ts'
import { findTestEnvironment, type KernelRequest, writeProjectFiles } from './project-files.ts'

/** One project, as Jest's `projects` take it. */
export type JestProject = Omit<Config, 'projects' | 'testTimeout'>

/** Jest's options, as they may stand in a project, less those that testkernels sets. */
export type KernelProjectOptions = Omit<
  Config,
  'displayName' | 'globalSetup' | 'globalTeardown' | 'projects' | 'testTimeout'
> &
  ProjectOptions & {
    /** Longest wait for a test or a hook that names none, in milliseconds. @default that of all of Jest; 120_000 where there is none */
    readonly testTimeout?: number
  }

/**
 * One Jest project for each entry, named after it: `jest --selectProjects cgroupv1`. In its tests DOCKER_HOST and the variables
 * of Testcontainers point at the entry's VM.
 *
 *     module.exports = { projects: [...kernelProjects(kernels, { testMatch: ['<rootDir>/test/*.vm.test.js'] })] }
 *
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function kernelProjects(matrix: KernelMatrix, options: KernelProjectOptions = {}): JestProject[] {
  return inConfiguration(() =>
    matrixRows(matrix).map((row, place) => project(row.name, { rows: [row], place, scope: 'project' }, options)),
  )
}

/**
 * One Jest project with the VMs of all entries: `describe.each(kernels())('on $name', (kernel) => ...)`.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function kernelSuite(name: string, matrix: KernelMatrix, options: KernelProjectOptions = {}): JestProject {
  return inConfiguration(() => project(name, { rows: matrixRows(matrix), place: 0, scope: 'suite' }, options))
}

interface Asked {
  readonly rows: readonly NamedKernelOptions[]
  /** Of the first of them in the matrix. */
  readonly place: number
  readonly scope: Scope
}

function project(name: string, asked: Asked, options: KernelProjectOptions): JestProject {
  refuseGlobalHooks(name, options)
  const { testTimeout: testTimeoutMs, testEnvironment = 'node', ...given } = options
  const { isolation, kernelReport, retryOn, keepOnFailure, ...others } = given
  const report = parseKernelReport(name, kernelReport)
  const wanted = {
    ...asked,
    isolation: parseIsolation(name, isolation, asked.rows),
    retryOn: parseRetryOn(name, retryOn, asked.rows),
    keepOnFailure: parseKeepOnFailure(name, keepOnFailure),
    ...(report !== undefined && { kernelReport: report }),
    ...(testTimeoutMs !== undefined && { testTimeoutMs }),
  }
  const environment = findTestEnvironment(testEnvironment, options.rootDir)
  const id = createHash('sha256')
    .update(JSON.stringify([name, wanted, environment]))
    .digest('hex')
    .slice(0, 16)
  const request: KernelRequest = { id, ...wanted }
  const files = writeProjectFiles({ request, environment, cacheDirectory: readSettings().cacheDirectory })
  return {
    ...others,
    displayName: name,
    globalSetup: files.globalSetup,
    globalTeardown: files.globalTeardown,
    testEnvironment: files.testEnvironment,
    setupFiles: [files.guard],
    // Jest runs setupFiles before its environment is set up, when the VM may not be there yet; these run right after.
    setupFilesAfterEnv: [...(options.setupFiles ?? []), ...(options.setupFilesAfterEnv ?? [])],
  }
}

/** Jest takes one of each for a project, and ours it must be. */
function refuseGlobalHooks(name: string, options: object): void {
  const refused = ['globalSetup', 'globalTeardown'].find((option) => option in options)
  if (refused === undefined) return
  throw new InvalidOptionError({
    what: `project ${name} has a ${refused} of its own, and Jest takes one for each project`,
    remedy: `move it to the top of Jest's configuration, where it is run as well: with the environment of this machine, and no VM`,
  })
}
