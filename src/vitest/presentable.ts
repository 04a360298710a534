import { TestkernelsError } from '../errors/index.ts'

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

/** The same for an error that ends a run: Vitest prints every property that it finds, and nobody else gets to see it. */
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

function titleOf({ name, code }: TestkernelsError): string {
  return `${name} [${code}]`
}
