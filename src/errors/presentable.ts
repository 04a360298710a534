import { TestkernelsError } from './testkernels-error.ts'

/**
 * An error that a configuration throws, as it shall be printed: the message of an error of ours says all, so where in our
 * code it was made helps no user, and its properties repeat it.
 */
export function presentable(thrown: unknown): unknown {
  if (!(thrown instanceof TestkernelsError)) return thrown
  thrown.stack = stackOf(thrown)
  for (const property of Object.keys(thrown)) Object.defineProperty(thrown, property, { enumerable: false })
  return thrown
}

/** Does what a test runner's configuration asks for. @throws what it throws, as it shall be printed */
export function inConfiguration<T>(work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw presentable(thrown)
  }
}

/** The same for an error that ends a run: test runners print every property that they find, and nobody else gets to see it. */
export function toReport(thrown: unknown): unknown {
  if (!(thrown instanceof TestkernelsError)) return thrown
  const report = new Error(thrown.message)
  report.name = titleOf(thrown)
  report.stack = stackOf(thrown)
  return report
}

function stackOf(error: TestkernelsError): string {
  return `${titleOf(error)}: ${error.message}`
}

/** What stands before the message: `VmDiedError [VM_DIED]`. */
export function titleOf(thrown: unknown): string {
  if (thrown instanceof TestkernelsError) return `${thrown.name} [${thrown.code}]`
  return thrown instanceof Error ? thrown.name : 'Error'
}
