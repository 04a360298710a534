// What comes from outside, mutated, for as long as TESTKERNELS_FUZZ_SECONDS says: ten minutes for all targets together. The unit suite
// has the same for seconds, but for what needs an engine. `npm run build` first.
import { defineConfig } from 'vitest/config'

const SECONDS = process.env['TESTKERNELS_FUZZ_SECONDS'] ?? '600'

export default defineConfig({
  test: {
    name: 'fuzz',
    root: import.meta.dirname,
    include: ['*.fuzz.test.ts', 'templates.e2e.test.ts'],
    globalSetup: ['../support/images.ts'],
    env: { TESTKERNELS_FUZZ_SECONDS: SECONDS },
    testTimeout: (Number(SECONDS) + 60) * 1000,
    fileParallelism: false,
  },
})
