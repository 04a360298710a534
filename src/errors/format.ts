import { reasonOf, TestkernelsError } from './testkernels-error.ts'

/**
 * An error as the command line prints it: for an error of ours the code and the message, because it names its remedy;
 * for any other the stack, because then the bug is ours.
 */
export function formatError(thrown: unknown): string {
  if (thrown instanceof TestkernelsError) return `error [${thrown.code}]: ${thrown.message}`
  if (thrown instanceof Error) return `error: ${thrown.stack ?? thrown.message}`
  return `error: ${reasonOf(thrown)}`
}
