import { fileURLToPath } from 'node:url'
import type { TestProjectInlineConfiguration, ViteUserConfig } from 'vitest/config'
import type { TestProject, Vitest } from 'vitest/node'
import { inConfiguration } from '../errors/index.ts'
import {
  type KernelMatrix,
  matrixRows,
  type NamedKernelOptions,
  type OnTestsRerun,
  type ProjectOptions,
  parseIsolation,
  parseKeepOnFailure,
  parseKernelReport,
  parseOnTestsRerun,
  parseRetryOn,
  TEST_TIMEOUT_MS,
} from '../options/index.ts'
import type { KernelRequest } from './kernels.ts'
import { TestRuns } from './test-runs.ts'

/** Vitest's options of a project, less those that testkernels sets, and how VMs are shared among its tests. */
export interface KernelProjectOptions
  extends ProjectOptions,
    Omit<NonNullable<TestProjectInlineConfiguration['test']>, 'name'> {
  /** In watch mode, whether tests that run again find the VMs as they left them, or as they were at the start. @default 'keep' */
  readonly onTestsRerun?: OnTestsRerun
}

const globalSetup = moduleBeside('global-setup')
const setupFile = moduleBeside('setup-file')
const runner = moduleBeside('runner')

/**
 * One Vitest project for each entry, named after it: `vitest --project cgroupv1`. In its workers DOCKER_HOST and the
 * variables of Testcontainers point at the entry's VM.
 *
 *     export default defineConfig({ test: { projects: [...kernelProjects(kernels, { include: ['test/*.vm.test.ts'] })] } })
 *
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function kernelProjects(
  matrix: KernelMatrix,
  options: KernelProjectOptions = {},
): TestProjectInlineConfiguration[] {
  return rowsOf(matrix).map((row, place) => project(row.name, { rows: [row], place, scope: 'project' }, options))
}

/**
 * One Vitest project with the VMs of all entries: `describe.each(kernels())('on $name', (kernel) => ...)`.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function kernelSuite(
  name: string,
  matrix: KernelMatrix,
  options: KernelProjectOptions = {},
): TestProjectInlineConfiguration {
  return project(name, { rows: rowsOf(matrix), place: 0, scope: 'suite' }, options)
}

/** Checked here, in the configuration: a mistake is an error before anything starts. */
function rowsOf(matrix: KernelMatrix): readonly NamedKernelOptions[] {
  return inConfiguration(() => matrixRows(matrix))
}

type Asked = Pick<KernelRequest, 'rows' | 'place' | 'scope'>

function project(
  name: string,
  asked: Asked,
  { isolation, onTestsRerun, kernelReport, retryOn, keepOnFailure, ...options }: KernelProjectOptions,
): TestProjectInlineConfiguration {
  const setups = asArray(options.globalSetup)
  const request = inConfiguration(() => ({
    ...asked,
    isolation: parseIsolation(name, isolation, asked.rows),
    onTestsRerun: parseOnTestsRerun(name, onTestsRerun),
    kernelReport: parseKernelReport(name, kernelReport),
    retryOn: parseRetryOn(name, retryOn, asked.rows),
    keepOnFailure: parseKeepOnFailure(name, keepOnFailure),
  }))
  const hasOneVm = request.scope === 'project' && request.isolation === 'project'
  return {
    extends: true,
    plugins: kernelPlugin(),
    test: {
      ...options,
      name,
      globalSetup: [globalSetup, ...(hasOneVm ? [] : setups)],
      setupFiles: [setupFile, ...asArray(options.setupFiles)],
      provide: { ...options.provide, testkernelsRequest: { ...request, globalSetup: hasOneVm ? setups : [] } },
    },
  }
}

function asArray(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}

type Plugins = NonNullable<TestProjectInlineConfiguration['plugins']>

/**
 * What a project has of ours that cannot stand in its configuration: defaults, which give way to what the configuration that it extends
 * says, and the news that Vitest runs tests.
 */
function kernelPlugin(): Plugins {
  return [
    {
      name: 'testkernels',
      // After the plugins of the user, who may have set something.
      config: { order: 'post', handler: defaults },
      configureVitest({ project, vitest }: { readonly project: TestProject; readonly vitest: Vitest }) {
        TestRuns.report(vitest)
        // Vitest 3 and 4 have another runner for benchmarks, which ours is not.
        if (vitest.config.mode === 'benchmark' && project.config.runner === runner) delete project.config.runner
      },
    },
  ]
}

/** What nobody said: neither the project, nor the configuration that it extends, nor the command line. */
function defaults({ test }: ViteUserConfig): ViteUserConfig {
  return {
    test: {
      testTimeout: test?.testTimeout ?? TEST_TIMEOUT_MS,
      hookTimeout: test?.hookTimeout ?? TEST_TIMEOUT_MS,
      runner: test?.runner ?? runner,
    },
  }
}

/** The path of a module of ours that Vitest loads. */
function moduleBeside(name: string): string {
  return fileURLToPath(new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
}
