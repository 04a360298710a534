// The long suite of kernels and root file systems: npm run test:kernels.
import { defineConfig } from 'vitest/config'

/** A kernel from source takes minutes to build; a boot under software emulation up to one. */
const TEST_TIMEOUT_MS = 1_800_000

export default defineConfig({
  test: {
    fileParallelism: false,
    projects: [
      {
        test: {
          name: 'by-hand',
          root: import.meta.dirname,
          include: ['*.e2e.test.ts'],
          globalSetup: ['../support/fixtures.ts'],
          testTimeout: TEST_TIMEOUT_MS,
          hookTimeout: TEST_TIMEOUT_MS,
        },
      },
    ],
  },
})
