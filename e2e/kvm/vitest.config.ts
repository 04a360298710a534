// KVM, run for real: in an outer VM of ours, whose emulated CPU has AMD's SVM, testkernels runs with that guest's /dev/kvm. It says
// that the path works, and nothing of its speed. `npm run build` first.
import { defineConfig } from 'vitest/config'

/** A guest in an emulated guest: a cold boot takes minutes, and more on a busy machine. */
const TEST_TIMEOUT_MS = 1_800_000

export default defineConfig({
  test: {
    name: 'kvm',
    root: import.meta.dirname,
    include: ['**/*.e2e.test.ts'],
    testTimeout: TEST_TIMEOUT_MS,
    hookTimeout: TEST_TIMEOUT_MS,
    setupFiles: '../support/false-alarms.ts',
    globalSetup: ['../support/fixtures.ts', '../support/images.ts'],
    fileParallelism: false,
  },
})
