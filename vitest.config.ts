// All projects: unit tests, and the e2e suite that `npm test` runs. The long suites (e2e/full, kernels, soak) have configurations of
// their own, because `npx vitest` without a project runs all that is here.
import { defineConfig } from 'vitest/config'
import { projects as e2e } from './e2e/projects.ts'

/** Vitest's 5 s is what a machine that boots VMs at the same time takes for milliseconds of work. */
const UNIT_TIMEOUT_MS = 60_000

const unit = {
  name: 'unit',
  include: ['{src,docs}/**/*.test.ts', 'e2e/fuzz/*.fuzz.test.ts'],
  testTimeout: UNIT_TIMEOUT_MS,
  hookTimeout: UNIT_TIMEOUT_MS,
}

export default defineConfig({ test: { projects: [{ test: unit }, ...e2e] } })
