// The long suite of kernels and root file systems: npm run test:kernels.
import { kernelSuite } from 'testkernels/vitest'
import { defineConfig } from 'vitest/config'
import { matrix } from './matrix/entries.ts'

/** A kernel from source takes minutes to build; a boot under software emulation up to one. */
const TEST_TIMEOUT_MS = 1_800_000

const shared = {
  root: import.meta.dirname,
  globalSetup: ['../support/fixtures.ts'],
  testTimeout: TEST_TIMEOUT_MS,
  hookTimeout: TEST_TIMEOUT_MS,
}

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: [
      { test: { ...shared, name: 'by-hand', include: ['*.e2e.test.ts'] } },
      // Every kernel of Debian's on every cgroup version it can do, all up at the same time.
      kernelSuite('matrix', matrix, { ...shared, include: ['matrix/*.e2e.test.ts'] }),
    ],
  },
})
