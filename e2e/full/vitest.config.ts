// The long suite of test runners, consumers and whole matrices: what `npm test` has no time for. `npm run build` first.
import { defineConfig } from 'vitest/config'

const TEST_TIMEOUT_MS = 600_000

export default defineConfig({
  test: {
    name: 'full',
    root: import.meta.dirname,
    include: ['**/*.e2e.test.ts'],
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
    setupFiles: '../support/false-alarms.ts',
    globalSetup: ['../support/fixtures.ts', '../support/images.ts'],
    // Two cores, and each test has VMs of its own.
    fileParallelism: false,
  },
})
