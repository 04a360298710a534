// The long suite of kernels, root file systems and engines: npm run test:kernels, one project after another, because the VMs of
// all that are selected boot at the start.
import { join } from 'node:path'
import { kernelProjects, kernelSuite } from 'testkernels/vitest'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { parts } from './matrix/entries.ts'

/** A kernel from source takes minutes to build; a boot under software emulation up to one. */
const TEST_TIMEOUT_MS = 1_800_000

const root = join(import.meta.dirname, '..')
const fixtures = './support/fixtures.ts'
const shared = {
  root,
  globalSetup: [fixtures],
  testTimeout: TEST_TIMEOUT_MS,
  hookTimeout: TEST_TIMEOUT_MS,
}

/** Room for a VM in the VM. */
const memoryMib = 4096

/** The engines are those of the root file systems: 26.1 and 28.5 at the time of writing. */
const engines = {
  'engine-trixie': { kernel: 'debian:trixie', rootfs: 'debian:trixie', memoryMib },
  'engine-sid': { kernel: 'debian:trixie', rootfs: 'debian:sid', memoryMib },
} as const

/** The plugin's own setup starts the VMs: what they are made of comes before it. */
function withKernelImages({ test, ...project }: TestProjectInlineConfiguration): TestProjectInlineConfiguration {
  const globalSetup = [fixtures, './support/kernel-images.ts', ...[test?.globalSetup ?? []].flat()]
  return { ...project, test: { ...test, globalSetup } }
}

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: [
      {
        test: {
          ...shared,
          name: 'by-hand',
          include: ['kernels/*.e2e.test.ts'],
          setupFiles: './support/false-alarms.ts',
        },
      },
      // Every kernel of Debian's on every cgroup version it can do, and kernels as others configure and lay them out.
      ...parts.map((part, at) =>
        withKernelImages(
          kernelSuite(`matrix-${at + 1}`, part, { ...shared, include: ['kernels/matrix/*.e2e.test.ts'] }),
        ),
      ),
      // What we ask of BuildKit, asked of newer engines: those in our guests.
      ...kernelProjects(engines, {
        ...shared,
        include: ['buildkit/*.e2e.test.ts', 'kernels/engines/*.e2e.test.ts'],
        globalSetup: [fixtures, './support/base-tar.ts'],
        setupFiles: ['./support/load-base.ts'],
      }),
    ],
  },
})
