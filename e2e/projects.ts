// Our own e2e suite, run by our own plugin: the root's vitest.config.ts has these beside the unit tests. `npm run build` first.
import { join } from 'node:path'
import type { TestProjectInlineConfiguration } from 'vitest/config'
import { kernelProjects, kernelSuite } from '../src/vitest/config.ts'

/** Vitest's 5 s is less than one `docker run` under software emulation; a boot is many of those. */
const TEST_TIMEOUT_MS = 300_000

const cgroupv1 = { kernel: 'debian:bookworm', cgroup: 1 } as const
const cgroupv2 = { kernel: 'debian:trixie', cgroup: 2 } as const

const shared = {
  root: import.meta.dirname,
  testTimeout: TEST_TIMEOUT_MS,
  hookTimeout: TEST_TIMEOUT_MS,
}
const common = ['./support/fixtures.ts']
const noFalseAlarms = './support/false-alarms.ts'
/**
 * At a time: a test is one command after another, most of its time on one core of the two that there are. Apart from unit tests, which have as
 * many workers as there are cores.
 */
const twoFiles = { ...shared, maxWorkers: 2, sequence: { groupOrder: 1 } }
const withImage = { ...twoFiles, setupFiles: ['./support/load-image.ts'] }

const ours: TestProjectInlineConfiguration[] = [
  // Looks at all that is on the engine, as what a test has left there, or has ports of which there is one: nothing else may run.
  {
    test: {
      ...shared,
      name: 'engine',
      include: ['{buildkit,cli,doctor,door,engine,faults,template}/**/*.e2e.test.ts'],
      fileParallelism: false,
      setupFiles: noFalseAlarms,
      globalSetup: './support/images.ts',
    },
  },
  // Each file minds its own VMs alone, and programs of ours as child processes.
  {
    test: {
      ...twoFiles,
      name: 'programs',
      include: ['{access,bench,docs,jest,network,standalone,vitest}/**/*.e2e.test.ts'],
      setupFiles: noFalseAlarms,
      globalSetup: './support/images.ts',
    },
  },
  // Files share the VM of their entry, as a user's do.
  ...kernelProjects({ cgroupv1 }, { ...withImage, include: ['vm/**/*.e2e.test.ts'] }),
  // The forward is the same whatever the kernel: one entry tests it.
  ...kernelProjects({ cgroupv2 }, { ...withImage, include: ['{vm,forward}/**/*.e2e.test.ts'] }),
  kernelSuite('kernels', { cgroupv1, cgroupv2 }, { ...twoFiles, include: ['matrix/**/*.e2e.test.ts'] }),
]

/** Unit tests need no build, and read this too: so what names the plugin's modules is taken from src, and they from dist. */
export const projects = ours.map(({ test, ...project }) => ({
  ...project,
  test: {
    ...test,
    // After the plugin's, and not by its options: these need the engine of this machine.
    globalSetup: [...[test?.globalSetup ?? []].flat().map(built), ...common],
    setupFiles: [test?.setupFiles ?? []].flat().map(built),
  },
}))

function built(path: string): string {
  const source = join(import.meta.dirname, '../src/')
  const compiled = join(import.meta.dirname, '../dist/')
  return path.startsWith(source) ? path.replace(source, compiled).replace(/\.ts$/, '.js') : path
}
