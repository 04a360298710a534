import { fileURLToPath } from 'node:url'
import type { TestProjectInlineConfiguration, ViteUserConfig } from 'vitest/config'
import type { TestProject, Vitest } from 'vitest/node'
import { TEST_TIMEOUT_MS } from '../options/index.ts'
import { TestRuns } from './test-runs.ts'

type Plugins = NonNullable<TestProjectInlineConfiguration['plugins']>

/**
 * What a project has of ours that cannot stand in its configuration: defaults, which give way to what the configuration that it extends
 * says, and the news that Vitest runs tests.
 */
export function kernelPlugin(): Plugins {
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

const runner = moduleBeside('runner')

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
export function moduleBeside(name: string): string {
  return fileURLToPath(new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))
}
