// Many small faults at moments drawn at random, on an engine of the campaign's own: `npm run build` first. Settings are in settings.ts.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    name: 'campaign',
    root: import.meta.dirname,
    include: ['*.e2e.test.ts'],
    setupFiles: '../support/false-alarms.ts',
    globalSetup: ['../support/fixtures.ts', '../support/images.ts'],
    testTimeout: 24 * 3_600_000,
    hookTimeout: 600_000,
    // Each try is told when it is over.
    disableConsoleIntercept: true,
    fileParallelism: false,
  },
})
