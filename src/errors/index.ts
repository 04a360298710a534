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

/** Known to each copy of this module. */
const OURS = Symbol.for('testkernels.error')

/**
 * The error that all of ours derive from. `message` reads: entry, what happened, cause, remedy, output; so that it says
 * everything wherever it is printed, a test report included. What guests, engines and builds say in it is made visible: it does nothing
 * to a terminal.
 */
export abstract class TestkernelsError extends Error {
  /** Stable identifier for programs, such as `ENGINE_UNREACHABLE`. */
  abstract readonly code: string
  readonly what: string
  readonly remedy: string
  readonly entry: string | undefined
  readonly output: string | undefined

  constructor(details: ErrorDetails) {
    super(visible(describe(details)), details.cause === undefined ? undefined : { cause: harmless(details.cause) })
    Object.defineProperty(this, OURS, { value: true })
    this.name = new.target.name
    this.what = visible(details.what)
    this.remedy = details.remedy
    this.entry = details.entry
    this.output = details.output === undefined ? undefined : visible(details.output)
  }
}

/** Test runners evaluate modules more than once, and what one copy throws is for another to print. */
function isInstance(this: object, value: unknown): boolean {
  if (this === TestkernelsError) return value instanceof Error && OURS in value
  // Of a class that derives from it, instances are its own.
  return Function.prototype[Symbol.hasInstance].call(this, value)
}
Object.defineProperty(TestkernelsError, Symbol.hasInstance, { value: isInstance })

/** Test runners print the causes of an error as well, with their stacks. */
function harmless(cause: unknown): unknown {
  if (!(cause instanceof Error)) return typeof cause === 'string' ? visible(cause) : cause
  if (
    cause instanceof TestkernelsError ||
    visible(`${cause.message}${cause.stack}`) === `${cause.message}${cause.stack}`
  )
    return cause
  const seen = new Error(visible(cause.message), { cause: harmless(cause.cause) })
  seen.name = cause.name
  seen.stack = visible(cause.stack ?? '')
  return seen
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
  const first = firstFailure(thrown)
  return first instanceof Error ? first.message : String(first)
}

/**
 * What failed first. Where what was begun cannot be ended either, as when the engine is gone, `await using` throws both in one
 * `SuppressedError`, whose message tells neither.
 */
export function firstFailure(thrown: unknown): unknown {
  let first = thrown
  // No class: Node 20 has none, and what compilers put in its place is an Error of that name.
  while (first instanceof Error && first.name === 'SuppressedError' && 'suppressed' in first) first = first.suppressed
  return first
}

function indent(text: string): string {
  return text.replaceAll('\n', '\n  ')
}

/**
 * An error as the command line prints it: for an error of ours the code and the message, because it names its remedy;
 * for any other the stack, because then the bug is ours.
 */
export function formatError(thrown: unknown): string {
  const first = causeOfDisposal(firstFailure(thrown))
  if (first instanceof TestkernelsError) return `error [${first.code}]: ${first.message}${pointerTo(first)}`
  if (first instanceof Error) return visible(`error: ${first.stack ?? first.message}`)
  return visible(`error: ${reasonOf(first)}`)
}

/** Of clean-ups that failed (`Disposals`), an error of ours that is the cause of one: it names its remedy, and what contains it does not. */
function causeOfDisposal(thrown: unknown): unknown {
  if (!(thrown instanceof AggregateError)) return thrown
  const causes = thrown.errors.map((failure: unknown) => (failure instanceof Error ? failure.cause : undefined))
  return causes.find((cause) => cause instanceof TestkernelsError) ?? thrown
}

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
  const first = firstFailure(thrown)
  if (!(first instanceof TestkernelsError)) return thrown
  const report = new Error(first.message)
  report.name = titleOf(first)
  report.stack = stackOf(first)
  return report
}

function stackOf(error: TestkernelsError): string {
  return `${titleOf(error)}: ${error.message}${pointerTo(error)}`
}

/** Where the page of its code is: in the package, so that it is of this version, and there without a network. */
function pointerTo({ code }: TestkernelsError): string {
  return `\n  more: npx testkernels explain ${code}`
}

/** What stands before the message: `VmDiedError [VM_DIED]`. */
export function titleOf(thrown: unknown): string {
  const first = firstFailure(thrown)
  if (first instanceof TestkernelsError) return `${first.name} [${first.code}]`
  return first instanceof Error ? first.name : 'Error'
}

/** Control characters but line end and tab, and those that turn the direction of text or end a line in other ways. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/**
 * Text of a guest, an engine or a build as text that does nothing to a terminal: `\x1b[2J` is seen, and clears no screen. Line ends and
 * tabs stay.
 */
export function visible(text: string): string {
  return text.replaceAll(UNSEEN, escaped)
}

/** The same for what is to be part of a line: line ends are seen as well, so that nobody adds a line of ours. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n')
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
