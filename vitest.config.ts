// All projects: unit tests, and the e2e suite that `npm test` runs. The long suites (e2e/full, kernels, soak) have configurations of
// their own, because `npx vitest` without a project runs all that is here.
import { defineConfig } from 'vitest/config'
import { projects as e2e } from './e2e/projects.ts'

export default defineConfig({
  test: {
    projects: [{ test: { name: 'unit', include: ['{src,docs}/**/*.test.ts', 'e2e/fuzz/*.fuzz.test.ts'] } }, ...e2e],
  },
})
