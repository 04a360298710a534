// `npm test`: the set-up, then every check there is, cheapest first. Stops at the first that fails. The last line is the
// sum over all tests, `N passed, N failed`, which CI reads. Plain Node without packages, because it starts before `npm ci`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setup } from './setup.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const sum = { passed: 0, failed: 0, skipped: 0 }

// `types` follows `build`, because e2e tests take the plugin from dist as users get it.
const steps = [
  { script: 'lint', what: 'Lint and format (Biome)' },
  { script: 'build', what: 'Compile src to dist (tsc, rolldown)' },
  { script: 'types', what: 'Types of everything (tsc)' },
  { script: 'layers', what: 'Layers: imports point down only (dependency-cruiser)' },
  { script: 'test:unit', what: 'Unit tests: no engine, no VM', tests: true },
  // Apart, because two cores are few: the first has VMs of its own, the second shares two among all its tests.
  { script: 'test:programs', what: 'E2E tests of engine, BuildKit, command line, faults', tests: true },
  { script: 'test:vms', what: 'E2E tests in VMs, on both cgroup versions', tests: true },
]

tell('Set-up: npm packages, and a Docker engine if none answers.')
await setup()
const reports = mkdtempSync(join(tmpdir(), 'testkernels-reports-'))
const succeeded = steps.every(runStep)
rmSync(reports, { recursive: true })
const { passed, failed, skipped } = sum
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = succeeded ? 0 : 1

function runStep({ script, what, tests = false }) {
  tell(`${what}: npm run ${script}`)
  const report = join(reports, `${script.replace(':', '-')}.json`)
  const reporters = tests ? ['--', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`] : []
  const started = performance.now()
  const { status } = spawnSync('npm', ['run', '--silent', script, ...reporters], { cwd: root, stdio: 'inherit' })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  tell(status === 0 ? `${script} took ${seconds} s` : `${script} FAILED after ${seconds} s; nothing more is run`)
  const failedBefore = sum.failed
  if (tests && existsSync(report)) addUp(report)
  // A check without tests, a file that does not load, or an error outside of all tests.
  if (status !== 0 && sum.failed === failedBefore) sum.failed += 1
  return status === 0
}

function addUp(report) {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(report, 'utf8'))
  sum.passed += numPassedTests
  sum.failed += numFailedTests
  sum.skipped += numPendingTests + numTodoTests
}

function tell(line) {
  console.log(`\n[test] ${line}`)
}
