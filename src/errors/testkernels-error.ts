/** What every error of ours carries; the constructor builds `message` from it. */
export interface ErrorDetails {
  /** What happened, as one sentence without a full stop. */
  readonly what: string
  /** What the user can do about it: a command to run, an option to change. */
  readonly remedy: string
  /** Name of the kernel entry that failed, where one did. */
  readonly entry?: string | undefined
  /** The error underneath. Its message is quoted in ours. */
  readonly cause?: unknown
  /** Output that explains the failure, such as the tail of a console; printed below the message. */
  readonly output?: string | undefined
}

/**
 * The error that all of ours derive from. `message` reads: entry, what happened, cause, remedy, output; so that it says
 * everything wherever it is printed, a test report included.
 */
export abstract class TestkernelsError extends Error {
  /** Stable identifier for programs, such as `ENGINE_UNREACHABLE`. */
  abstract readonly code: string
  readonly remedy: string
  readonly entry: string | undefined
  readonly output: string | undefined

  constructor(details: ErrorDetails) {
    super(describe(details), details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.remedy = details.remedy
    this.entry = details.entry
    this.output = details.output
  }
}

function describe({ what, remedy, entry, cause, output }: ErrorDetails): string {
  const lines = [entry === undefined ? what : `${entry}: ${what}`]
  if (cause !== undefined) lines.push(`  cause: ${indent(reasonOf(cause))}`)
  lines.push(`  remedy: ${remedy}`)
  if (output !== undefined && output.trim() !== '')
    lines.push(`  output:\n    | ${output.trimEnd().replaceAll('\n', '\n    | ')}`)
  return lines.join('\n')
}

/** The message of anything that was thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n  ')
}
