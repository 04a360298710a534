// Our own e2e suite, run by our own plugin. `npm run build` first: the plugin is taken as users get it, from dist.
import { kernelProjects, kernelSuite } from 'testkernels/vitest'
import { defineConfig } from 'vitest/config'

/** Vitest's 5 s is less than one `docker run` under software emulation; a boot is many of those. */
const TEST_TIMEOUT_MS = 300_000

const cgroupv1 = { kernel: 'debian:bookworm', cgroup: 1 } as const
const cgroupv2 = { kernel: 'debian:trixie', cgroup: 2 } as const

const shared = {
  root: import.meta.dirname,
  testTimeout: TEST_TIMEOUT_MS,
  hookTimeout: TEST_TIMEOUT_MS,
}
const fixtures = './support/fixtures.ts'
const withImage = { ...shared, globalSetup: [fixtures], setupFiles: ['./support/load-image.ts'] }

export default defineConfig({
  test: {
    // Two cores: what runs beside a VM slows it down.
    fileParallelism: false,
    projects: [
      // The engine, BuildKit, and programs of ours as child processes, which start VMs of their own.
      {
        test: {
          ...shared,
          name: 'engine',
          include: ['{buildkit,engine,cli,vitest,jest,faults,standalone}/**/*.e2e.test.ts'],
          globalSetup: [fixtures, './support/images.ts'],
        },
      },
      ...kernelProjects({ cgroupv1 }, { ...withImage, include: ['vm/**/*.e2e.test.ts'] }),
      // The forward is the same whatever the kernel: one entry tests it.
      ...kernelProjects({ cgroupv2 }, { ...withImage, include: ['{vm,forward}/**/*.e2e.test.ts'] }),
      kernelSuite(
        'kernels',
        { cgroupv1, cgroupv2 },
        { ...shared, include: ['matrix/**/*.e2e.test.ts'], globalSetup: [fixtures] },
      ),
    ],
  },
})
