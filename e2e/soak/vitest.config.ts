// Many times the same: what is left over each time would show. `npm run build` first.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    name: 'soak',
    root: import.meta.dirname,
    include: ['**/*.e2e.test.ts'],
    testTimeout: 900_000,
    hookTimeout: 900_000,
    setupFiles: '../support/false-alarms.ts',
    globalSetup: ['../support/images.ts'],
    fileParallelism: false,
  },
})
